import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, onTestFinished, test, vi } from "vitest";
import { ErrorReason, failureFacts } from "../../services/kernel/errors.ts";
import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import { verifies } from "../requirements.ts";
import { runCommand, startMeshProcess } from "../support/mesh-process.ts";
import { clientOver, readUntilEnd, say } from "./mesh-client.fixture.ts";

// Each test runs several commands, and each command is a start of Node on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

const config = JSON.stringify({ mcpServers: { filesystem: { disabled: true } } });
const words = "a sentence that stands in the log";
/** Nothing listens there, so that doctor asks no mesh. */
const nowhere = ["--url", "http://127.0.0.1:1"];

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-doctor-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("doctor makes no folder where no mesh ever was", async () => {
  const folder = makeFolder();
  const { code, output } = await runCommand(["doctor", ...nowhere], folder);
  expect(output).toMatch(/data folder: .*not there yet/);
  expect(output).toMatch(/logs: none/);
  expect(code).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
});

test(`doctor names the first event that is not what was written, and readers get DATA_LOSS ${verifies("L9")}`, async () => {
  const folder = makeFolder();
  const mesh = await startMeshProcess({ folder, config });
  onTestFinished(() => mesh.stop("SIGKILL"));
  const client = clientOver(mesh.transport());
  const sent = await say(client, words);
  await readUntilEnd(client, sent);
  const other = await say(client, "another conversation");
  await readUntilEnd(client, other);

  const busy = await runCommand(["doctor", "--url", mesh.url], folder);
  expect(busy.output).toMatch(/not checked, because a mesh has them open/);
  expect(busy.code).toBe(0);

  await mesh.stop();
  const file = join(mesh.dataDir, "session.db");
  const before = readFileSync(file);
  const sound = await runCommand(["doctor", ...nowhere], folder);
  expect(sound.output).toMatch(/✓ logs: 2 sessions with \d+ events are sound/);
  expect(sound.code).toBe(0);
  expect(readFileSync(file).equals(before)).toBe(true);
  expect(existsSync(`${file}-shm`)).toBe(false);

  // Of a log that retention has emptied, too.
  const store = await openSessionStore(mesh.dataDir, Date.now);
  const bounds = { keepFromMs: 0, maxEvents: 0, maxBytes: 1 };
  await store.trimLogs({ bounds, cursor: "", maxSessions: 9, maxRows: 999 });
  await store.close();
  const emptied = await runCommand(["doctor", ...nowhere], folder);
  expect(emptied.output).toMatch(/✓ logs: 2 sessions with 0 events are sound/);
  expect(emptied.code).toBe(0);

  const bytes = Buffer.from(before);
  // The words stand in the session's title and in its log.
  for (let at = bytes.indexOf(words); at >= 0; at = bytes.indexOf(words, at + 1)) bytes.write("A", at);
  writeFileSync(file, bytes);
  const damaged = await runCommand(["doctor", ...nowhere], folder);
  expect(damaged.output).toContain(`session ${sent.sessionId} of tenant local: event 1: the checksum`);
  expect(damaged.output).not.toContain(other.sessionId);
  expect(damaged.output).toMatch(/1 thing is wrong/);
  expect(damaged.code).toBe(1);

  const again = await startMeshProcess({ folder, config });
  onTestFinished(() => again.stop("SIGKILL"));
  const reader = clientOver(again.transport());
  const error = ConnectError.from(await readUntilEnd(reader, sent).catch((thrown: unknown) => thrown));
  expect(error.code).toBe(Code.DataLoss);
  expect(failureFacts(error)).toMatchObject({
    reason: ErrorReason.LOG_DAMAGED,
    metadata: { session_id: sent.sessionId, seq: "1" },
  });
  expect((await readUntilEnd(reader, other)).length).toBeGreaterThan(0);
  expect(again.log()).toContain("a log is damaged");
});
