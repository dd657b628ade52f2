import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../requirements.ts";
import { runCommand, startMeshProcess } from "../support/mesh-process.ts";
import { clientOver, endsOf, readUntilEnd, say } from "./mesh-client.fixture.ts";

// Each test runs commands, and each command is a start of Node on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

describe("a mesh that can't start says why and what to do", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "atoll-bad-start-"));
    return () => rmSync(folder, { recursive: true, force: true });
  });

  const up = ["up", "--listen", "127.0.0.1:0"];

  test(`a port that is in use: exit code 1 and the port ${verifies("L9")}`, async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const { code, errors } = await runCommand(["up", "--listen", `127.0.0.1:${port}`], folder);
    server.close();
    expect(code).toBe(1);
    expect(errors).toMatch(new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is already in use.*ATOLL_LISTEN or --listen`));
    expect(errors).not.toMatch(/\n\s+at /);
  });

  test(`a data folder that is used by another mesh: exit code 1, and the first one works on ${verifies("L9", "S4")}`, async () => {
    const mesh = await startMeshProcess({
      folder,
      config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }),
    });
    try {
      const client = clientOver(mesh.transport());
      const { code, errors } = await runCommand(up, folder);
      expect(code).toBe(1);
      expect(errors).toMatch(/session\.db|another|in use/i);
      expect(errors).not.toMatch(/\n\s+at /);
      const sent = await say(client, "hello");
      expect(endsOf(await readUntilEnd(client, sent), sent.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
      expect(readFileSync(join(mesh.dataDir, "address"), "utf8").trim()).toBe(mesh.url);
    } finally {
      await mesh.stop();
    }
  });

  // Who may do everything (root) may write in every folder: a file where the folder should be stands for all of them.
  test(`a data folder that can't be one: exit code 1 and the folder ${verifies("L9")}`, async () => {
    const data = join(folder, "data");
    writeFileSync(data, "");
    const { code, errors } = await runCommand([...up, "--data", data], folder);
    expect(code).toBe(1);
    expect(errors).toContain(data);
    expect(errors).toMatch(/--data or ATOLL_DATA/);
    expect(errors).not.toMatch(/\n\s+at /);
  });

  test(`a data folder that can't be written: exit code 1 and the folder ${verifies("L9")}`, async () => {
    // Where nobody may write, not even who may do everything else.
    const data = process.platform === "linux" ? "/sys/atoll" : "/atoll";
    const { code, errors } = await runCommand([...up, "--data", data], folder);
    expect(code).toBe(1);
    expect(errors).toContain(data);
    expect(errors).not.toMatch(/\n\s+at /);
  });

  test(`a data folder that others can enter: exit code 1 and how to close it ${verifies("L9")}`, async () => {
    const data = join(folder, "data");
    mkdirSync(data, { mode: 0o755 });
    writeFileSync(join(data, "something"), "");
    const { code, errors } = await runCommand([...up, "--data", data], folder);
    expect(code).toBe(1);
    expect(errors).toContain(`chmod 700 '${data}'`);
  });

  test(`a damaged store: exit code 1 and the file, which is left as it is ${verifies("L9", "S4")}`, async () => {
    const data = join(folder, ".atoll");
    mkdirSync(data, { mode: 0o700 });
    const damaged = "this is no database, ".repeat(1_000);
    writeFileSync(join(data, "session.db"), damaged);
    const { code, errors } = await runCommand(up, folder);
    expect(code).toBe(1);
    expect(errors).toMatch(/session\.db/);
    expect(errors).not.toMatch(/\n\s+at /);
    expect(readFileSync(join(data, "session.db"), "utf8")).toBe(damaged);
  });

  test(`a broken configuration: exit code 2 and every problem with its path ${verifies("L9")}`, async () => {
    const file = join(folder, "atoll.yaml");
    writeFileSync(file, 'listen: "127.0.0.1:99999"\nruns:\n  leaseTtlMs: soon\nagents:\n  main:\n    modle: x\n');
    const { code, errors } = await runCommand(up.slice(0, 1), folder);
    expect(code).toBe(2);
    expect(errors).toMatch(/atoll\.yaml:1\S*: listen: /);
    expect(errors).toMatch(/atoll\.yaml:3\S*: runs\.leaseTtlMs: found .*soon/);
    expect(errors).toMatch(/agents\.main\.modle: .*did you mean `model`/i);
    expect(errors).not.toMatch(/\n\s+at /);
    const { code: codeOfNone, errors: errorsOfNone } = await runCommand(["up", "--config", "not-there.yaml"], folder);
    expect(codeOfNone).toBe(2);
    expect(errorsOfNone).toMatch(/not-there\.yaml/);
  });

  test(`a service without its peers, and a service that there is not ${verifies("L9")}`, async () => {
    const missing = await runCommand(["serve", "--services=gateway", "--listen", "127.0.0.1:0"], folder);
    expect(missing.code).toBe(1);
    expect(missing.errors).toMatch(/the session service .*--session, ATOLL_SESSION_URL/);
    const unknown = await runCommand(["serve", "--services=teapot"], folder);
    expect(unknown.code).toBe(2);
    expect(unknown.errors).toMatch(/no such service: teapot/);
  });
});
