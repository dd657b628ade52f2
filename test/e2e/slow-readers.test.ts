/**
 * 200 readers that never read, over both protocols, on a log of 10 MB: what the mesh holds for them is bounded, a healthy
 * reader beside them gets everything, and each of them is cut off and can go on from what it has.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import {
  GatewayService,
  SubscribeRequestSchema,
  type SubscribeResponse,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { newId } from "../../services/kernel/id.ts";
import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  delta,
  lastBatchOf,
  makeSession,
} from "../contract/session-store/store-fixture.ts";
import { verifies } from "../requirements.ts";
import { checkReasons } from "../support/check-reasons.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import { clientOver, expectDense, readLog, readUntilEnd } from "./mesh-client.fixture.ts";

const stalledReaders = 200;
/** Each of them costs the system some 4 MB of socket buffers as well. */
const http1Readers = 20;
const deltas = 160;
/**
 * What one of them may cost, a third of the log: a page of it (1 MiB), its encoded parts (64 KiB), the
 * windows of its connection, and what the garbage collector has not taken yet.
 */
const maxBytesOfReader = 3_500_000;

const config = JSON.stringify({
  mcpServers: { filesystem: { disabled: true } },
  limits: { readerStallTimeoutMs: 20_000, maxConnectionsPerAddress: 300 },
});

function connect({ url, token }: MeshProcess) {
  const authorize: Interceptor = (next) => (call) => {
    call.header.set("authorization", `Bearer ${token}`);
    return next(call);
  };
  const transport = createConnectTransport({
    baseUrl: url,
    httpVersion: "2",
    useBinaryFormat: true,
    interceptors: [authorize],
  });
  return createClient(GatewayService, checkReasons(transport));
}

/** Subscribes over HTTP/1.1 and reads nothing behind the headers; resolves when it has them. */
async function stallOverHttp1({ url, token }: MeshProcess, sessionId: string): Promise<void> {
  const message = toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, { sessionId }));
  const envelope = Buffer.alloc(5);
  envelope.writeUInt32BE(message.length, 1);
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/connect+proto",
    "connect-protocol-version": "1",
  };
  const call = request(`${url}/${GatewayService.typeName}/Subscribe`, { method: "POST", headers });
  call.on("error", () => undefined);
  onTestFinished(() => void call.destroy());
  call.end(Buffer.concat([envelope, message]));
  const [response] = await once(call, "response");
  response.on("error", () => undefined);
  expect(response.statusCode).toBe(200);
}

/** Takes the first answer of a subscription and then nothing more, until `goOn`. */
class StalledReader {
  readonly events: Event[] = [];
  readonly #responses: AsyncIterator<SubscribeResponse>;

  constructor(client: ReturnType<typeof connect>, sessionId: string) {
    this.#responses = client.subscribe({ sessionId })[Symbol.asyncIterator]();
  }

  get lastSeq(): bigint {
    return this.events.at(-1)?.seq ?? 0n;
  }

  async begin(): Promise<void> {
    await this.#take();
  }

  /** Reads what had arrived; resolves with the error that ended it. */
  async goOn(): Promise<unknown> {
    try {
      for (;;) await this.#take();
    } catch (error) {
      return error;
    }
  }

  async #take(): Promise<void> {
    const { value, done } = await this.#responses.next();
    if (done === true) throw new Error("the subscription ended without an error");
    this.events.push(...value.events);
  }
}

/** A session with an ended run of 160 deltas of 64 KiB, put into the store before any mesh is started on it. */
async function storeLongLog(dataDir: string): Promise<{ readonly sessionId: string; readonly runId: string }> {
  mkdirSync(dataDir, { mode: 0o700 });
  const store = await openSessionStore(dataDir, Date.now);
  const { sessionId } = await makeSession(store, { sessionId: newId("ses") });
  await accept(store, sessionId, { runId: newId("run") });
  const { run } = await claimOne(store);
  // Nothing that compression makes small.
  const text = randomBytes(49_152).toString("base64");
  for (let batchNo = 1; batchNo <= deltas; batchNo++) {
    await append(store, batchOf(run, batchNo, { events: [delta(run.runId, text)] }));
  }
  await append(store, lastBatchOf(run, deltas + 1));
  await store.close();
  return run;
}

test(`readers that never read cost bounded memory, harm nobody, and go on without a gap ${verifies("S1", "S2", "L7", "L9")}`, async () => {
  const folder = mkdtempSync(join(tmpdir(), "atoll-readers-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const run = await storeLongLog(join(folder, ".atoll"));
  const { sessionId } = run;
  const mesh = await startMeshProcess({ folder, config });
  onTestFinished(() => mesh.stop("SIGKILL"));
  const client = clientOver(mesh.transport());
  const whole = await readLog(client, sessionId);
  const rssBytes = async () => (await client.admin.getStatus({})).instances[0]?.rssBytes ?? 0n;
  const before = await rssBytes();

  // First, before this process is busy: a connection that is cut off takes the unread headers with it.
  await Promise.all(Array.from({ length: http1Readers }, () => stallOverHttp1(mesh, sessionId)));
  const readers: StalledReader[] = [];
  while (readers.length < stalledReaders - http1Readers) {
    // Each on a connection of its own: streams of one connection share its window. Some at a time: what many have not
    // begun to read is more than one caller may leave unread.
    const some = Array.from({ length: 20 }, () => new StalledReader(connect(mesh), sessionId));
    await Promise.all(some.map((reader) => reader.begin()));
    readers.push(...some);
  }
  const during = await rssBytes();
  expect(Number(during - before) / stalledReaders).toBeLessThan(maxBytesOfReader);
  expect(await readUntilEnd(client, run)).toEqual(whole);

  const cutOff = (): number =>
    [...mesh.log().matchAll(/^.*"READER_STALLED".*$/gm)].reduce(
      (sum, [line]) => sum + Number(JSON.parse(line).count),
      0,
    );
  await expect.poll(cutOff, { timeout: 60_000, interval: 500 }).toBe(stalledReaders);
  expect(mesh.log()).toMatch(
    new RegExp(`GatewayService/Subscribe: \\d+ bytes not taken.*session ${sessionId} was written up to \\d+`),
  );

  const [reader] = readers;
  if (reader === undefined) throw new Error("there are readers");
  expect(await reader.goOn()).toMatchObject({ name: "ConnectError" });
  expect(reader.lastSeq).toBeLessThan(BigInt(deltas));
  const rest = await readUntilEnd(client, { ...run, afterSeq: reader.lastSeq });
  expectDense([...reader.events, ...rest]);
  expect([...reader.events, ...rest]).toEqual(whole);
}, 180_000);
