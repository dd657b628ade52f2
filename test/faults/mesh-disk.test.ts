// A real mesh whose disk fills up and is freed again (a tmpfs; mounting needs root), and one whose disk does not confirm
// a write (strace). What clients were told is held against what is stored.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import type { SendMessageResponse } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { ErrorReason, failureFacts } from "../../services/kernel/errors.ts";
import { checkLogs } from "../../services/session/store/open-session-store.ts";
import {
  clientOver,
  endsOf,
  expectDense,
  inSession,
  type MeshClient,
  readLog,
  readUntilEnd,
  say,
} from "../e2e/mesh-client.fixture.ts";
import { verifies } from "../requirements.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";

const config = JSON.stringify({
  mcpServers: { filesystem: { disabled: true } },
  models: { offline: { tokenDelayMs: 0 } },
});
const writers = 4;
const healMs = 5_000;

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-disk-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** False when this machine does not allow it. */
function mountSmallDisk(place: string): boolean {
  mkdirSync(place, { mode: 0o700 });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", place], { stdio: "pipe" });
  } catch (error) {
    console.warn(`NOT TESTED: a full disk; no tmpfs can be mounted here: ${String(error)}`);
    return false;
  }
  onTestFinished(() => void execFileSync("umount", ["--lazy", place]));
  return true;
}

/** Writes until nothing more fits. */
function fill(file: string): void {
  const descriptor = openSync(file, "w");
  for (let size = 65_536; size >= 1; size = Math.floor(size / 16)) {
    try {
      for (;;) writeSync(descriptor, Buffer.alloc(size, 1));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    }
  }
  closeSync(descriptor);
}

/** Makes system calls on the write-ahead log of the running mesh fail, as strace's `inject` describes it. */
function failCalls(mesh: MeshProcess, inject: string): ChildProcess {
  const { pid } = mesh.processOf("session");
  const calls = inject.split(":", 1).join();
  const logFile = join(mesh.dataDir, "session.db-wal");
  const faults = ["-P", logFile, "-e", `trace=${calls}`, "-e", `inject=${inject}`];
  const strace = spawn("strace", ["-f", "-qq", "-o", "/dev/null", ...faults, "-p", String(pid)], { stdio: "ignore" });
  onTestFinished(() => void strace.kill("SIGKILL"));
  return strace;
}

/** Clients that go on sending whatever they are answered, and write down both. */
class Load {
  readonly accepted: SendMessageResponse[] = [];
  readonly refused: ConnectError[] = [];
  readonly #stop = new AbortController();
  readonly #ended: Promise<unknown>;

  constructor(client: MeshClient) {
    this.#ended = Promise.all(Array.from({ length: writers }, () => this.#write(client)));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #write(client: MeshClient): Promise<void> {
    const words = "many words ".repeat(2_000);
    let sessionId = "";
    while (!this.#stop.signal.aborted) {
      try {
        const sent = await say(client, words, sessionId === "" ? {} : inSession(sessionId));
        ({ sessionId } = sent);
        this.accepted.push(sent);
        await sleep(20);
      } catch (error) {
        this.refused.push(ConnectError.from(error));
        await sleep(50);
      }
    }
  }
}

/** Every accepted message is in its session's log, which is dense, with one end of its run. */
async function expectAllStored(client: MeshClient, accepted: readonly SendMessageResponse[]): Promise<void> {
  for (const sessionId of new Set(accepted.map((sent) => sent.sessionId))) {
    const own = accepted.filter((sent) => sent.sessionId === sessionId);
    for (const sent of own) await readUntilEnd(client, sent);
    const log = await readLog(client, sessionId);
    expectDense(log);
    for (const { runId, seq } of own) {
      expect(log.find((event) => event.seq === seq)?.body.case).toBe("messageReceived");
      expect(endsOf(log, runId)).toHaveLength(1);
    }
  }
}

test(`a full disk costs nothing that was accepted, and the mesh goes on when there is space again ${verifies("S1", "S4", "R2", "L9")}`, async (context) => {
  const folder = makeFolder();
  const dataDir = join(folder, "data");
  if (!mountSmallDisk(dataDir)) return context.skip();
  const mesh = await startMeshProcess({ folder, config, env: { ATOLL_DATA: dataDir } });
  onTestFinished(() => mesh.stop("SIGKILL"));
  const client = clientOver(mesh.transport());
  const before = await say(client, "hello");
  await readUntilEnd(client, before);
  const load = new Load(client);
  await expect.poll(() => load.accepted.length).toBeGreaterThan(writers);

  const filler = join(dataDir, "filler");
  fill(filler);
  // What the write-ahead log has room for is still written.
  await expect.poll(() => load.refused.length, { timeout: 30_000 }).toBeGreaterThan(10 * writers);
  for (const error of load.refused) {
    expect(error.code).toBe(Code.Unavailable);
    expect(failureFacts(error)).toMatchObject({
      reason: ErrorReason.STORE_UNAVAILABLE,
      metadata: { problem: "disk-full" },
      retryAfterMs: 1_000,
    });
  }
  expect(endsOf(await readLog(client, before.sessionId), before.runId)).toHaveLength(1);

  const acceptedWhenFull = load.accepted.length;
  rmSync(filler);
  await expect.poll(() => load.accepted.length, { timeout: healMs }).toBeGreaterThan(acceptedWhenFull + writers);
  await load.stop();
  await expectAllStored(client, [before, ...load.accepted]);
  await mesh.stop();
  expect(await checkLogs(dataDir)).toMatchObject({ kind: "checked", findings: [] });
}, 120_000);

test(`a disk that fails to write costs nothing that was accepted, and the mesh goes on when it works again ${verifies("S1", "S4", "R2", "L9")}`, async () => {
  const folder = makeFolder();
  const mesh = await startMeshProcess({ folder, config });
  onTestFinished(() => mesh.stop("SIGKILL"));
  const client = clientOver(mesh.transport());
  const load = new Load(client);
  await expect.poll(() => load.accepted.length).toBeGreaterThan(writers);
  const strace = failCalls(mesh, "pwrite64:error=EIO:when=5+");
  await expect.poll(() => load.refused.length, { timeout: 20_000 }).toBeGreaterThan(10 * writers);
  for (const error of load.refused) {
    expect(failureFacts(error)).toMatchObject({ metadata: { problem: "io-error" }, retryAfterMs: 1_000 });
  }
  const acceptedWhenFailing = load.accepted.length;
  // It lets go of the process.
  strace.kill("SIGTERM");
  await expect.poll(() => load.accepted.length, { timeout: healMs }).toBeGreaterThan(acceptedWhenFailing + writers);
  await load.stop();
  await expectAllStored(client, load.accepted);
}, 90_000);

test(`a disk that does not confirm a write ends the process, and the next one has all that was accepted ${verifies("S4", "L9")}`, async () => {
  const folder = makeFolder();
  const mesh = await startMeshProcess({ folder, config });
  onTestFinished(() => mesh.stop("SIGKILL"));
  const load = new Load(clientOver(mesh.transport()));
  await expect.poll(() => load.accepted.length).toBeGreaterThan(writers);
  failCalls(mesh, "fsync,fdatasync:error=EIO:when=5");
  const { child } = mesh.processOf("session");
  await expect.poll(() => child.exitCode, { timeout: 20_000 }).toBe(1);
  await load.stop();
  expect(mesh.log()).toContain("the disk did not confirm a write: the process ends at once");

  await mesh.restart("session");
  const client = clientOver(mesh.transport());
  const later = await say(client, "again", { requestId: randomUUID() });
  await expectAllStored(client, [...load.accepted, later]);
}, 90_000);
