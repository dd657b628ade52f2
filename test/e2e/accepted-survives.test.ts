/**
 * A message that was accepted is answered, whatever happens to the mesh afterwards: 40 times kill -9 (ATOLL_KILLS=100
 * for what the README says), spread evenly over the 400 ms after the acceptance. The answers take about 200 ms, so that the
 * kills fall before, into and after them.
 *
 * The judge is the clients' own record of what was accepted, the fake API's record of what was asked, and a last read.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SendMessageResponse } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { sendMessage } from "../../web/client/send-message.ts";
import { verifies } from "../requirements.ts";
import { type FakeAnthropic, startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import {
  answerOf,
  clientOver,
  endsOf,
  expectDense,
  fold,
  inSession,
  type MeshClient,
  readLog,
  readUntilEnd,
  textMessage,
} from "./mesh-client.fixture.ts";
import { answerAsAsked, countAsked } from "./scripted-model.fixture.ts";

/** A multiple of the lanes. */
const kills = Number(process.env["ATOLL_KILLS"] ?? 40);
const longestDelayMs = 400;
/** Meshes side by side, each on a folder of its own that all of its kills share. */
const lanes = 5;
const roundsOfLane = kills / lanes;

interface Round {
  readonly request: { readonly requestId: string; readonly message: ReturnType<typeof textMessage> } & Partial<
    ReturnType<typeof inSession>
  >;
  /** Found in the text of the message, and in no other. */
  readonly mark: string;
  /** Undefined while nothing was answered: such a message may be lost, but never be run twice. */
  answer: SendMessageResponse | undefined;
  /** Model calls when the run was seen to have ended. */
  callsAtEnd: number;
}

let fake: FakeAnthropic;

beforeAll(async () => {
  fake = await startFakeAnthropic({ script: answerAsAsked });
});

afterAll(async () => {
  await fake?.close();
});

class Lane {
  readonly folder = mkdtempSync(join(tmpdir(), "atoll-kills-"));
  readonly rounds: Round[] = [];
  readonly #lane: number;
  #mesh: MeshProcess | undefined;
  #client: MeshClient | undefined;

  constructor(lane: number) {
    this.#lane = lane;
  }

  get client(): MeshClient {
    if (this.#client === undefined) throw new Error("the mesh is not up");
    return this.#client;
  }

  async start(): Promise<void> {
    this.#mesh = await startMeshProcess({
      folder: this.folder,
      env: { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url, ATOLL_LOG_LEVEL: "warn" },
      // No tool is needed, and a hundred starts of the file server would be the better part of the work.
      config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }),
    });
    this.#client = clientOver(this.#mesh.transport());
  }

  async kill(): Promise<void> {
    await this.#mesh?.processOf("mesh").end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#mesh?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get log(): string {
    return this.#mesh?.log() ?? "";
  }

  /** One message that is accepted and one that need not be, then the kill. */
  async strike(round: number): Promise<void> {
    const kill = round * lanes + this.#lane;
    const delayMs = (kill * longestDelayMs) / (kills - 1);
    // Every other round goes on in a session that was killed before.
    const before = round % 2 === 0 ? undefined : this.rounds.at(-2)?.answer?.sessionId;
    const accepted = this.#newRound(`kill-${kill}-accepted`, before);
    accepted.answer = await this.client.gateway.sendMessage(accepted.request);
    const killed = sleep(delayMs).then(() => this.kill());
    const unheard = this.#newRound(`kill-${kill}-unheard`, undefined);
    // Sent so that the kill may fall between its acceptance and the answer.
    await sleep(Math.max(0, delayMs - 3));
    unheard.answer = await this.client.gateway.sendMessage(unheard.request).catch(() => undefined);
    await killed;
  }

  #newRound(mark: string, sessionId: string | undefined): Round {
    const message = textMessage(`tokens=20 delay=10 <${mark}>`);
    const request = { requestId: mark, message, ...(sessionId === undefined ? {} : inSession(sessionId)) };
    const round: Round = { request, mark: `<${mark}>`, answer: undefined, callsAtEnd: 0 };
    this.rounds.push(round);
    return round;
  }

  /** The mesh is back: what was accepted is there, and the same request finds it. */
  async recover(round: Round): Promise<void> {
    const again = await sendMessage({ client: this.client.gateway, request: round.request });
    if (round.answer !== undefined) expect(again, round.mark).toEqual(round.answer);
    round.answer = again;
    const { sessionId, runId, seq } = again;
    const events = await readUntilEnd(this.client, { sessionId, runId, afterSeq: seq - 1n });
    expectDense(events, seq - 1n);
    expect(endsOf(events, runId), round.mark).toMatchObject([{ status: 1 }]);
    round.callsAtEnd = countAsked(fake.requests(), round.mark);
    const attempts = events.filter(
      ({ body, runId: of }) => of === runId && (body.case === "runStarted" || body.case === "runResumed"),
    ).length;
    // A run that no kill fell into asked the model once; each kill may cost one more call, never two.
    expect(round.callsAtEnd, round.mark).toBeGreaterThanOrEqual(1);
    expect(round.callsAtEnd, round.mark).toBeLessThanOrEqual(attempts);
  }

  /** After the last kill: each message once, each run ended once and whole, and no ended run asked the model again. */
  async judge(): Promise<void> {
    const bySession = Map.groupBy(this.rounds, ({ answer }) => answer?.sessionId ?? "");
    for (const [sessionId, rounds] of bySession) {
      const log = await readLog(this.client, sessionId);
      expectDense(log);
      const conversation = fold(log);
      const received = log.flatMap(({ body }) => (body.case === "messageReceived" ? [body.value.messageId] : []));
      expect(received.toSorted()).toEqual(rounds.map(({ answer }) => answer?.messageId ?? "").toSorted());
      const queued = log.flatMap(({ body, runId }) => (body.case === "runQueued" ? [runId] : []));
      expect(queued.toSorted()).toEqual(rounds.map(({ answer }) => answer?.runId ?? "").toSorted());
      for (const { mark, answer, callsAtEnd } of rounds) {
        const runId = answer?.runId ?? "";
        expect(endsOf(log, runId), mark).toHaveLength(1);
        expect(answerOf(conversation, runId).trim().split(/\s+/).length, mark).toBeGreaterThan(10);
        expect(countAsked(fake.requests(), mark), mark).toBe(callsAtEnd);
      }
    }
    const { sessions } = await this.client.session.listSessions({ pageSize: 500 });
    expect(sessions.map(({ sessionId }) => sessionId).toSorted()).toEqual([...bySession.keys()].toSorted());
  }
}

async function runLane(index: number): Promise<Lane> {
  const lane = new Lane(index);
  try {
    await lane.start();
    for (let round = 0; round < roundsOfLane; round++) {
      await lane.strike(round);
      await lane.start();
      for (const struck of lane.rounds.slice(-2)) await lane.recover(struck);
    }
    for (const { request, answer } of lane.rounds) {
      expect(await lane.client.gateway.sendMessage(request)).toEqual(answer);
    }
    await lane.judge();
    return lane;
  } catch (error) {
    process.stderr.write(`${lane.log}\n`);
    throw error;
  } finally {
    await lane.stop();
  }
}

test(`what was accepted survives ${kills} kills at any moment, and never runs twice ${verifies("R1", "R2", "S4")}`, {
  timeout: 600_000,
}, async () => {
  const done = await Promise.all(Array.from({ length: lanes }, (_, lane) => runLane(lane)));
  const rounds = done.flatMap((lane) => lane.rounds);
  expect(rounds).toHaveLength(2 * kills);
  // The kills really fell into runs, and into the time before their answers; else nothing was proved.
  expect(rounds.filter(({ callsAtEnd }) => callsAtEnd > 1).length).toBeGreaterThan(kills / 10);
});
