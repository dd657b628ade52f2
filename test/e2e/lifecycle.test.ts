/** How a mesh starts, says where it is, drains and ends. */
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { verifies } from "../requirements.ts";
import { type FakeAnthropic, startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import {
  type MeshProcess,
  type MeshProcessOptions,
  runCommand,
  startMeshProcess,
  startService,
} from "../support/mesh-process.ts";
import {
  bytesOf,
  clientOver,
  endsOf,
  eventually,
  inSession,
  isTextOf,
  readLog,
  readUntil,
  readUntilEnd,
  refusalOf,
  say,
} from "./mesh-client.fixture.ts";
import { answerAsAsked } from "./scripted-model.fixture.ts";

let fake: FakeAnthropic;
let folder: string;
let mesh: MeshProcess | undefined;

beforeAll(async () => {
  fake = await startFakeAnthropic({ script: answerAsAsked });
});

afterAll(async () => {
  await fake?.close();
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atoll-life-"));
  mesh = undefined;
  onTestFailed(() => {
    process.stderr.write(`${mesh?.log() ?? "there was no mesh"}\n`);
  });
  return async () => {
    await mesh?.stop();
    rmSync(folder, { recursive: true, force: true });
  };
});

async function start(more: MeshProcessOptions = {}): Promise<MeshProcess> {
  mesh = await startMeshProcess({
    folder,
    config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }),
    ...more,
    env: { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url, ...more.env },
  });
  return mesh;
}

/** The signal goes out now; how the process ends is awaited later. */
function signalNow(to: MeshProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
  return to.processOf("mesh").end(signal);
}

describe("stopping", () => {
  test(`SIGTERM lets the running answer finish and its readers see the end; the exit code is 0 ${verifies("R2", "S4")}`, async () => {
    const running = await start();
    const client = clientOver(running.transport());
    const { sessionId, runId } = await say(client, "tokens=100 delay=10");
    const reading = readUntilEnd(client, { sessionId, runId });
    await readUntil(client, sessionId, isTextOf(runId));
    const ended = signalNow(running, "SIGTERM");
    const events = await reading;
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(await ended).toBe(0);

    await running.restart("mesh");
    const log = await readLog(clientOver(running.transport()), sessionId);
    expect(bytesOf(log)).toEqual(bytesOf(events));
    expect(log.some(({ body }) => body.case === "runResumed")).toBe(false);
  });

  test(`while it drains, new connections are refused and new messages on old ones as well, or they are kept ${verifies("R1", "R2")}`, async () => {
    const running = await start();
    const client = clientOver(running.transport());
    const { sessionId, runId } = await say(client, "tokens=150 delay=10");
    await readUntil(client, sessionId, isTextOf(runId));
    const ended = signalNow(running, "SIGTERM");
    await eventually("the drain has begun", () => (running.log().includes("draining") ? true : undefined));
    const stranger = clientOver(running.transport());
    // A connection that was taken in the moment of closing is reset, which the client's library calls Aborted.
    expect((await refusalOf(stranger.session.listSessions({}))).code).toMatch(/^(Unavailable|Aborted)$/);
    const requestId = randomUUID();
    const late = await say(client, "tokens=3", { ...inSession(sessionId), requestId }).catch(() => undefined);
    expect(await ended).toBe(0);

    // Accepted or not: sent again it runs once.
    await running.restart("mesh");
    const again = clientOver(running.transport());
    const sent = await say(again, "tokens=3", { ...inSession(sessionId), requestId });
    if (late !== undefined) expect(sent).toEqual(late);
    await readUntilEnd(again, sent);
    const log = await readLog(again, sessionId);
    expect(endsOf(log, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(endsOf(log, sent.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(log.filter(({ body }) => body.case === "messageReceived")).toHaveLength(2);
  });

  test(`a second signal ends it now, and the next mesh brings the run to its end ${verifies("R2", "S8")}`, async () => {
    const running = await start();
    const client = clientOver(running.transport());
    const { sessionId, runId } = await say(client, "tokens=300 delay=100");
    await readUntil(client, sessionId, isTextOf(runId));
    const ended = signalNow(running, "SIGTERM");
    await eventually("the drain has begun", () => (running.log().includes("draining") ? true : undefined));
    const beganMs = performance.now();
    running.processOf("mesh").child.kill("SIGTERM");
    // A drain that was cut short is said so.
    expect(await ended).toBe(1);
    // The answer would have gone on for 30 s; how fast a machine is does not matter at this distance.
    expect(performance.now() - beganMs).toBeLessThan(15_000);

    fake.setScript((body) =>
      answerAsAsked(JSON.parse(JSON.stringify(body).replace("delay=100", "delay=1")) as typeof body),
    );
    try {
      await running.restart("mesh");
      const events = await readUntilEnd(clientOver(running.transport()), { sessionId, runId });
      expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    } finally {
      fake.setScript(answerAsAsked);
    }
  });

  test(`an idle mesh, one with idle readers and one that was talked to end by themselves ${verifies("L9")}`, async () => {
    const running = await start();
    const client = clientOver(running.transport());
    const sent = await say(client, "hello");
    await readUntilEnd(client, sent);
    const control = new AbortController();
    const idle = (async () => {
      for await (const _ of client.gateway.subscribe({ sessionId: sent.sessionId }, { signal: control.signal }));
    })().catch(() => undefined);
    await eventually("the reader is there", async () =>
      ((await client.admin.getStatus({})).instances[0]?.connections ?? 0) > 0 ? true : undefined,
    );
    expect(await signalNow(running, "SIGINT")).toBe(0);
    control.abort();
    await idle;
    // Nothing was left that had to be cut.
    expect(running.log()).not.toMatch(/left open/);
  });

  test(`each service of a split mesh drains on its own and ends with 0 ${verifies("L9")}`, async () => {
    const running = await start({ topology: "split" });
    const client = clientOver(running.transport());
    const sent = await say(client, "hello");
    await readUntilEnd(client, sent);
    const codes = [];
    for (const service of running.processes.toReversed()) codes.push([service.name, await service.end("SIGTERM")]);
    expect(codes).toEqual([
      ["gateway", 0],
      ["agent", 0],
      ["toolrouter", 0],
      ["session", 0],
    ]);
    expect(running.log()).not.toMatch(/left open/);
  });
});

describe("starting", () => {
  test(`says where it is, in its output, in its address file and by its health ${verifies("L9")}`, async () => {
    const running = await start();
    const addressFile = join(running.dataDir, "address");
    expect(readFileSync(addressFile, "utf8")).toBe(`${running.url}\n`);
    const { status } = await createClient(Health, running.anonymousTransport()).check({});
    expect(status).toBe(HealthCheckResponse_ServingStatus.SERVING);
    const { code, output } = await runCommand(["sessions", "--json"], folder);
    expect([code, output]).toEqual([0, ""]);
    expect(await signalNow(running, "SIGTERM")).toBe(0);
    expect(existsSync(addressFile)).toBe(false);
    const gone = await runCommand(["sessions"], folder);
    expect(gone.code).toBe(1);
    expect(gone.errors).not.toMatch(/\n\s+at /);
  });

  test(`the data folder, the token and the key are for their owner alone ${verifies("L9")}`, async () => {
    const running = await start();
    expect(statSync(running.dataDir).mode & 0o777).toBe(0o700);
    for (const file of ["token", "mesh.key", "address"]) {
      expect(statSync(join(running.dataDir, file)).mode & 0o777, file).toBe(0o600);
    }
    const { output } = await runCommand(["token"], folder);
    expect(output.trim()).toBe(running.token);
  });

  test(`ATOLL_LISTEN, ATOLL_DATA and ATOLL_CONFIG say where it runs, and several run side by side ${verifies("L9")}`, async () => {
    const services = [];
    try {
      for (const name of ["one", "two"]) {
        const config = join(folder, `${name}.yaml`);
        const workspace = join(folder, `${name}-workspace`);
        writeFileSync(
          config,
          JSON.stringify({ listen: "127.0.0.1:1", workspace, mcpServers: { filesystem: { disabled: true } } }),
        );
        const data = join(folder, `${name}-data`);
        const env = { ATOLL_LISTEN: "127.0.0.1:0", ATOLL_DATA: data, ATOLL_CONFIG: config };
        const service = await startService(name, ["up"], folder, env);
        services.push(service);
        expect(readFileSync(join(data, "address"), "utf8").trim()).toBe(service.url);
        expect(existsSync(workspace)).toBe(true);
      }
      const [one, two] = services;
      expect(new URL(one?.url ?? "").port).not.toBe(new URL(two?.url ?? "").port);
      expect(existsSync(join(folder, ".atoll"))).toBe(false);
    } finally {
      for (const service of services) expect(await service.end("SIGTERM")).toBe(0);
    }
  });

  test(`a flag beats the environment, and the environment beats the file ${verifies("L9")}`, async () => {
    writeFileSync(
      join(folder, "atoll.yaml"),
      JSON.stringify({ listen: "127.0.0.1:1", mcpServers: { filesystem: { disabled: true } } }),
    );
    const env = { ATOLL_LISTEN: "127.0.0.1:2", ATOLL_DATA: join(folder, "from-environment") };
    const data = join(folder, "from-flag");
    const service = await startService("flags", ["up", "--listen", "127.0.0.1:0", "--data", data], folder, env);
    expect(await service.end("SIGTERM")).toBe(0);
    expect(existsSync(data)).toBe(true);
    expect(existsSync(env.ATOLL_DATA)).toBe(false);
  });
});
