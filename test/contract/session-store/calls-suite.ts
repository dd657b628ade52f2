// The contract of SessionStore, continued: a run that has ended leaves no call without an outcome, whoever ended it.
import { randomUUID } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { type EventBody, encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { verifies } from "../../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  delta,
  followUp,
  lastBatchOf,
  outcomeOf,
  request,
  runFinished,
  runStarted,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
} from "./store-fixture.ts";

const { SUCCEEDED, CANCELLED, UNKNOWN } = ToolOutcome;

export function sessionCallsSuite(driver: SessionStoreDriver): void {
  describe(`calls of runs that end with some open ${verifies("FL4", "F3")}`, () => {
    const test = new StoreUnderTest(driver);

    it("have an outcome each in front of the terminal event: in doubt when they had started", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [
        begin(1),
        propose("a"),
        propose("b"),
        propose("c"),
        start("a"),
        finish("a"),
        start("b"),
      ]);
      const finished = await end(test.store, run);
      expect(finished?.appended.events).toHaveLength(3);
      expect(await told(test.store, run)).toEqual([["a", SUCCEEDED], ["b", UNKNOWN], ["c", CANCELLED], "ended"]);
      expect(finished?.run.finishedSeq).toBe(finished?.appended.headSeq);
      // What its worker has still to say of them is refused.
      expect((await test.store.appendBatch(batchOf(run, 2, { events: eventsOf(run, [finish("b")]) }))).kind).toBe(
        "fenced",
      );
      await test.reopen();
      expect(await told(test.store, run)).toHaveLength(4);
    });

    it("are those of the run alone, however long its last step is and whatever stands before it", async () => {
      const first = await startRun(test.store);
      const { sessionId } = first.run;
      await say(test.store, first.run, 1, [begin(1), propose("old"), finish("old")]);
      await accept(test.store, sessionId);
      await append(test.store, lastBatchOf(first.run, 2));
      const { run } = await claimOne(test.store);
      await say(test.store, run, 1, [
        begin(1),
        propose("done"),
        finish("done"),
        begin(2),
        propose("lost"),
        start("lost"),
      ]);
      const deltas = Array.from({ length: 700 }, (_, index) => delta(run.runId, `word ${index}`));
      await append(test.store, batchOf(run, 2, { events: deltas }));
      await test.store.compactLogs({ maxWindows: 10 });
      await append(test.store, batchOf(run, 3, { events: deltas.slice(0, 100) }));
      await test.reopen();
      await end(test.store, run);
      expect(await told(test.store, run)).toEqual([["done", SUCCEEDED], ["lost", UNKNOWN], "ended"]);
      expect(await told(test.store, first.run)).toEqual([["old", SUCCEEDED], "ended"]);
    });

    it("get none when their step was discarded, or when there are none", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("void"), discard(1, 1), propose("kept")]);
      await end(test.store, run);
      expect(await told(test.store, run)).toEqual([["kept", CANCELLED], "ended"]);
      const other = await startRun(test.store);
      const finished = await end(test.store, other.run);
      expect(finished?.appended.events).toHaveLength(1);
    });

    it("have theirs when their step was discarded after they had started: they may have had their effect", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("started"), start("started"), propose("void")]);
      await say(test.store, run, 2, [discard(1, 1), begin(1), propose("next"), finish("next")]);
      await append(test.store, lastBatchOf(run, 3));
      expect(await told(test.store, run)).toEqual([["next", SUCCEEDED], ["started", UNKNOWN], "ended"]);
    });

    it("have theirs also when their own worker, the first one, ends the run and leaves them open", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("a"), start("a"), propose("b"), propose("c"), finish("c")]);
      const last = lastBatchOf(run, 2, eventsOf(run, [begin(2), propose("d")]));
      const appended = await append(test.store, last);
      const open = [
        ["a", UNKNOWN],
        ["b", CANCELLED],
        ["d", CANCELLED],
      ] as const;
      expect(await told(test.store, run)).toEqual([["c", SUCCEEDED], ...open, "ended"]);
      // The answer's range has them, and is the same for the batch that is sent again.
      const { firstSeq, lastSeq } = appended;
      expect(lastSeq - firstSeq + 1).toBe(last.events.length + open.length);
      expect(await test.store.appendBatch(last)).toEqual({ kind: "replayed", firstSeq, lastSeq });
    });

    it("have theirs when a store that was opened anew has to look for them in the log", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("a"), start("a"), begin(2), propose("b")]);
      await test.reopen();
      await say(test.store, run, 2, [propose("c"), finish("b")]);
      await append(test.store, lastBatchOf(run, 3));
      expect(await told(test.store, run)).toEqual([["b", SUCCEEDED], ["a", UNKNOWN], ["c", CANCELLED], "ended"]);
    });

    it("have theirs when they are more than the store remembers, or have longer names", async () => {
      const { run } = await startRun(test.store);
      const names = Array.from({ length: 300 }, (_, index) => `call ${index}`);
      await say(test.store, run, 1, [begin(1), propose("n".repeat(10_000)), finish("n".repeat(10_000))]);
      await say(test.store, run, 2, names.map(propose));
      await append(test.store, lastBatchOf(run, 3));
      expect((await told(test.store, run)).slice(1)).toEqual([...names.map((name) => [name, CANCELLED]), "ended"]);
    });

    it("are not taken for told when the batch that told them was refused", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("a"), start("a")]);
      const refused = batchOf(run, 3, { events: eventsOf(run, [finish("a")]) });
      expect((await test.store.appendBatch(refused)).kind).toBe("out-of-order");
      await append(test.store, lastBatchOf(run, 2));
      expect(await told(test.store, run)).toEqual([["a", UNKNOWN], "ended"]);
    });

    it("have theirs also when the worker that took the run over ends it without knowing of them", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("a"), start("a"), propose("b")]);
      const taken = await test.store.takeOverRun(run, runStarted);
      if (taken === undefined) throw new Error("the run could not be taken over");
      const last = lastBatchOf(taken.run, 1);
      const appended = await append(test.store, last);
      expect(appended.appended.events).toHaveLength(3);
      expect(await told(test.store, run)).toEqual([["a", UNKNOWN], ["b", CANCELLED], "ended"]);
      const { firstSeq, lastSeq } = appended;
      expect(await test.store.appendBatch(last)).toEqual({ kind: "replayed", firstSeq, lastSeq });
    });

    it("keep what that worker says of them in the same batch", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("a"), start("a"), propose("b")]);
      const taken = await test.store.takeOverRun(run, runStarted);
      if (taken === undefined) throw new Error("the run could not be taken over");
      await append(test.store, lastBatchOf(taken.run, 1, eventsOf(taken.run, [finish("a"), finish("b")])));
      expect(await told(test.store, run)).toEqual([["a", SUCCEEDED], ["b", SUCCEEDED], "ended"]);
    });

    it("have theirs in a fork that ends in the middle of them, and the original's go on", async () => {
      const { run } = await startRun(test.store);
      await say(test.store, run, 1, [begin(1), propose("a"), start("a"), propose("b")]);
      const forked = outcomeOf(
        await test.store.forkSession(
          scope,
          request(() => ""),
          {
            ...{ sessionId: run.sessionId, forkId: randomUUID(), logId: randomUUID(), atSeq: 0, maxBytes: 1e9 },
            ...{ key: "", agentId: "", title: "", update: () => new Uint8Array() },
            ending: ({ runId }) => runFinished(runId, RunStatus.CANCELLED),
          },
        ),
      );
      const { sessionId } = forked.session;
      expect(await told(test.store, { ...run, sessionId })).toEqual([["a", UNKNOWN], ["b", CANCELLED], "ended"]);
      expect(await told(test.store, run)).toEqual([]);
    });

    it("have exactly one each, whatever was said of them before", async () => {
      const step = fc.record({
        isDiscarded: fc.boolean(),
        calls: fc.array(fc.constantFrom("proposed", "started", "finished"), { maxLength: 5 }),
        deltas: fc.nat(80),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 1, maxLength: 3 }),
          fc.constantFrom("its worker", "the next worker", "the service"),
          fc.boolean(),
          async (steps, by, isReopened) => {
            const { run } = await startRun(test.store);
            const bodies: EventBody[] = [];
            const open = new Map<string, ToolOutcome>();
            for (const [index, { isDiscarded, calls, deltas }] of steps.entries()) {
              bodies.push(begin(index + 1));
              for (const [number, state] of calls.entries()) {
                const callId = `${index}.${number}`;
                bodies.push(propose(callId));
                if (state !== "proposed") bodies.push(start(callId));
                if (state === "finished") bodies.push(finish(callId));
                if (state === "started") open.set(callId, UNKNOWN);
                if (state === "proposed" && !isDiscarded) open.set(callId, CANCELLED);
              }
              for (let number = 0; number < deltas; number++) bodies.push({ case: "textDelta", value: { text: "x" } });
              if (isDiscarded) bodies.push(discard(index + 1, 1));
            }
            await append(test.store, batchOf(run, 1, { events: stepsOf(run, bodies) }));
            const before = (await told(test.store, run)).length;
            if (isReopened) await test.reopen();
            if (by === "its worker") await append(test.store, lastBatchOf(run, 2));
            if (by === "the service") await end(test.store, run);
            if (by === "the next worker") {
              const taken = await test.store.takeOverRun(run, runStarted);
              if (taken !== undefined) await append(test.store, lastBatchOf(taken.run, 1));
            }
            expect((await told(test.store, run)).slice(before)).toEqual([...open, "ended"]);
          },
        ),
        { numRuns: 100 },
      );
    });
  });
}

const begin = (step: number): EventBody => ({ case: "stepStarted", value: { model: `m${step}` } });
const propose = (callId: string): EventBody => ({ case: "toolCallProposed", value: { callId, tool: "a.b" } });
const start = (callId: string): EventBody => ({ case: "toolCallStarted", value: { callId, tool: "a.b" } });
const finish = (callId: string): EventBody => ({ case: "toolCallFinished", value: { callId, outcome: SUCCEEDED } });
const discard = (step: number, attempt: number): EventBody => ({ case: "stepDiscarded", value: { step, attempt } });

function eventsOf({ runId, attempt }: RunRow, bodies: readonly EventBody[]): Uint8Array[] {
  return bodies.map((body) => encodeEvent({ runId, attempt, step: 1, body }));
}

/** The same, each step under its number. */
function stepsOf({ runId, attempt }: RunRow, bodies: readonly EventBody[]): Uint8Array[] {
  let step = 0;
  return bodies.map((body) => {
    if (body.case === "stepStarted") step += 1;
    return encodeEvent({ runId, attempt, step, body });
  });
}

async function say(store: SessionStore, run: RunRow, batchNo: number, bodies: readonly EventBody[]): Promise<void> {
  await append(store, batchOf(run, batchNo, { events: eventsOf(run, bodies) }));
}

function end(store: SessionStore, run: RunRow) {
  const ending = { status: RunStatus.CANCELLED, failure: new Uint8Array(), followUp: followUp() };
  return store.finishRun(run, { ...ending, event: () => runFinished(run.runId, RunStatus.CANCELLED) });
}

/** The outcomes and the end of a run, in the order of its log. */
async function told(store: SessionStore, { sessionId, runId }: Pick<RunRow, "sessionId" | "runId">) {
  const page = await store.readEvents(scope, sessionId, { afterSeq: 0, maxEvents: 100_000, maxBytes: 1e9 });
  if (page.kind !== "page") throw new Error("the session is not there");
  const events = page.events.map(({ bytes }) => fromBinary(EventSchema, bytes));
  return events
    .filter((event) => event.runId === runId)
    .flatMap(({ body }): (readonly [string, ToolOutcome] | "ended")[] => {
      if (body.case === "runFinished") return ["ended"];
      return body.case === "toolCallFinished" ? [[body.value.callId, body.value.outcome]] : [];
    });
}
