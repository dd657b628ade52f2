/** The command line tells its token to nobody but its own mesh. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type MeshProcess, runCommand, spawnCommand, startMeshProcess } from "../support/mesh-process.ts";
import { eventually } from "./mesh-client.fixture.ts";
import { type StrangerKind, sendToken, startStranger } from "./stranger.fixture.ts";

const withoutTools = JSON.stringify({ mcpServers: { filesystem: { disabled: true } } });
const commands = [["chat", "hello"], ["sessions"], ["tail"], ["tools"], ["token", "--link"], ["export", "x"]] as const;

/** Each command is a process of its own, and the machine may be busy. */
const timeout = 180_000;

describe("a stranger at the address of a mesh", { timeout }, () => {
  let mesh: MeshProcess;
  let port: number;

  beforeEach(async () => {
    mesh = await startMeshProcess({ config: withoutTools });
    port = Number(new URL(mesh.url).port);
  });

  afterEach(async () => {
    await mesh?.stop("SIGKILL");
  });

  const kinds: readonly StrangerKind[] = ["silent", "http/1", "http/2", "echo"];

  test.each(kinds)("that speaks %s is told nothing after a clean stop", async (kind) => {
    await mesh.processOf("mesh").end("SIGTERM");
    const stranger = await startStranger(kind, { port });
    // What the folder's configuration says is where the mesh would listen; no address is written down any more.
    const env = { ATOLL_LISTEN: `127.0.0.1:${port}` };
    for (const command of kind === "http/2" ? commands : commands.slice(0, 1)) {
      const { code, output, errors } = await runCommand(command, mesh.folder, env);
      expect([command, code, output]).toEqual([command, 1, ""]);
      expect(errors).toContain(`who answers at ${stranger.url} did not prove to be the mesh of the data folder`);
      expect(errors).toContain("npx --no atoll up");
    }
    expect(stranger.connections()).toBeGreaterThan(0);
    expect(await stranger.heard()).not.toContain(mesh.token);
  });

  test("is told nothing where the mesh was killed and its address still stands", async () => {
    await mesh.processOf("mesh").end("SIGKILL");
    expect(readFileSync(join(mesh.dataDir, "address"), "utf8")).toBe(`${mesh.url}\n`);
    const stranger = await startStranger("http/2", { port });
    expect((await runCommand(["chat", "hello"], mesh.folder)).code).toBe(1);
    expect(stranger.connections()).toBe(1);
    expect(await stranger.heard()).not.toContain(mesh.token);
  });

  test("is told nothing when it hands everything on to the true mesh", async () => {
    const stranger = await startStranger("relay", { meshPort: port });
    writeFileSync(join(mesh.dataDir, "address"), `${stranger.url}\n`);
    const { code, errors } = await runCommand(["sessions"], mesh.folder);
    expect([code, errors]).toEqual([1, expect.stringContaining("did not prove to be the mesh")]);
    const given = await runCommand(["sessions", "--url", stranger.url], mesh.folder);
    expect([given.code, given.errors]).toEqual([1, expect.stringContaining("ATOLL_TOKEN or --token")]);
    expect(stranger.connections()).toBe(2);
    expect(await stranger.heard()).not.toContain(mesh.token);
  });

  test("is told nothing when it takes the port while a command follows a session", async () => {
    expect((await runCommand(["chat", "hello"], mesh.folder)).code).toBe(0);
    const tail = spawnCommand(["tail", "--follow"], mesh.folder, {});
    onTestFinished(() => void tail.kill("SIGKILL"));
    let shown = "";
    let said = "";
    tail.stdout.on("data", (part) => (shown += String(part)));
    tail.stderr.on("data", (part) => (said += String(part)));
    await eventually("the session is followed", () => (shown.includes("hello") ? true : undefined));
    await mesh.processOf("mesh").end("SIGKILL");
    const stranger = await startStranger("http/2", { port });
    const code = await new Promise((settle) => tail.once("exit", settle));
    expect([code, said]).toEqual([1, expect.stringContaining("did not prove to be the mesh")]);
    expect(await stranger.heard()).not.toContain(mesh.token);
  });

  test("is told a token that is given for it, and what it was told is noticed", async () => {
    const stranger = await startStranger("http/2");
    await runCommand(["sessions", "--url", stranger.url, "--token", "atl_given"], mesh.folder);
    expect(await stranger.heard()).toContain("Bearer atl_given");
    expect(await stranger.heard()).not.toContain(mesh.token);
    await sendToken(stranger.url, mesh.token);
    expect(await stranger.heard()).toContain(mesh.token);
  });

  test("a token of another mesh is sent to no mesh but this one when no address is given", async () => {
    const { code, errors } = await runCommand(["sessions"], mesh.folder, { ATOLL_TOKEN: "atl_other" });
    expect([code, errors]).toEqual([1, expect.stringContaining("TOKEN_INVALID")]);
    await mesh.processOf("mesh").end("SIGKILL");
    const stranger = await startStranger("http/2", { port });
    await runCommand(["sessions"], mesh.folder, { ATOLL_TOKEN: "atl_other" });
    expect(await stranger.heard()).not.toContain("atl_other");
  });

  test("the mesh itself is known by any of its names, also from another folder with its token", async () => {
    const elsewhere = { ATOLL_DATA: join(mesh.folder, "nothing-here") };
    const url = `localhost:${port}`;
    expect(await runCommand(["sessions", "--url", `127.0.0.1:${port}`], mesh.folder)).toMatchObject({ code: 0 });
    expect(await runCommand(["sessions"], mesh.folder, { ATOLL_URL: url })).toMatchObject({ code: 0 });
    const other = { ...elsewhere, ATOLL_TOKEN: mesh.token };
    expect(await runCommand(["sessions", "--url", `${mesh.url}/`], mesh.folder, other)).toMatchObject({ code: 0 });
    const without = await runCommand(["sessions", "--url", url], mesh.folder, elsewhere);
    expect([without.code, without.errors]).toEqual([2, expect.stringContaining("give its token with ATOLL_TOKEN")]);
  });

  test("where nobody answers, the command says how to start a mesh, at once", async () => {
    await mesh.processOf("mesh").end("SIGTERM");
    const { code, output, errors } = await runCommand(["chat", "hello"], mesh.folder);
    expect([code, output]).toEqual([1, ""]);
    expect(errors).toMatch(/^atoll: no mesh of the data folder .* runs.*start it with `npx --no atoll up`/);
    expect(errors).not.toContain(mesh.token);
  });
});
