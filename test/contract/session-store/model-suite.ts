// Runs random operations, several at a time so that they share commits, against a driver and against the model.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { verifies } from "../../requirements.ts";
import {
  batchOf,
  delta,
  followUp,
  makeSession,
  newMessage,
  readLog,
  request,
  runFinished,
  runStarted,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  wish,
} from "./store-fixture.ts";
import { type Expected, SessionStoreModel } from "./store-model.ts";

/** An operation; `pick` chooses among what is there, `shift` makes epochs and batch numbers wrong now and then. */
type Operation = {
  readonly kind: "submit" | "resubmit" | "claim" | "take-over" | "append" | "end" | "finish" | "cancel";
  readonly pick: number;
  readonly size: number;
  readonly shift: number;
  readonly flag: boolean;
};

const anyOperation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom(
    "submit",
    "resubmit",
    "claim",
    "take-over",
    "append",
    "append",
    "append",
    "end",
    "finish",
    "cancel",
  ),
  pick: fc.nat(1_000),
  size: fc.integer({ min: 1, max: 4 }),
  shift: fc.constantFrom(0, 0, 0, 0, 1, -1),
  flag: fc.boolean(),
});

/** Groups of operations that are started in one tick; after a group the store may be opened again. */
const anyProgram = fc.array(
  fc.record({ operations: fc.array(anyOperation, { minLength: 1, maxLength: 8 }), reopen: fc.boolean() }),
  { minLength: 1, maxLength: 12 },
);

export function sessionModelSuite(driver: SessionStoreDriver): void {
  describe("random operations", () => {
    const test = new StoreUnderTest(driver);

    it(`end as the model says ${verifies("L4", "R1", "R2", "S1")}`, async () => {
      let round = 0;
      const property = fc.asyncProperty(anyProgram, async (program) => {
        const player = new Player(`round-${round++}`);
        await player.begin(test.store);
        for (const { operations, reopen } of program) {
          await Promise.all(operations.map((operation) => player.play(test.store, operation)));
          if (reopen) {
            await test.reopen();
          }
        }
        await player.compare(test.store);
      });
      await fc.assert(property, { numRuns: 60 });
    });
  });
}

/** Plays one program in a tenant of its own. */
class Player {
  private readonly model = new SessionStoreModel();
  private readonly by: typeof scope;
  private requests = 0;

  constructor(tenant: string) {
    this.by = { ...scope, tenant };
  }

  async begin(store: SessionStore): Promise<void> {
    for (let index = 0; index < 2; index++) {
      const { sessionId } = await makeSession(store, {}, this.by);
      this.model.create(sessionId);
    }
    // Claims see all tenants; what earlier programs left waiting would be taken, too.
    await drain(store);
  }

  /** The model answers at once, because a group commits its changes in the order of their calls. */
  async play(store: SessionStore, operation: Operation): Promise<void> {
    const [expected, answer] = this.start(store, operation);
    if (expected === undefined) {
      expect(await answer, operation.kind).toBeUndefined();
    } else {
      expect(await answer, operation.kind).toMatchObject(expected);
    }
  }

  private start(store: SessionStore, operation: Operation): [Expected, Promise<unknown>] {
    const { model, by } = this;
    const { pick, size, shift, flag } = operation;
    const known = model.runs()[pick % Math.max(model.runs().length, 1)];
    switch (operation.kind) {
      case "submit":
      case "resubmit": {
        const session = model.sessions[pick % model.sessions.length];
        const sessionId = session?.sessionId ?? "";
        const requestId =
          operation.kind === "resubmit" ? `request-${pick % (this.requests + 1)}` : `request-${this.requests++}`;
        const message = newMessage(sessionId, {
          priority: size,
          ifHeadSeq: flag && shift !== 0 && session !== undefined ? Math.max(session.headSeq + shift, 0) : undefined,
          entry: flag ? (size === 1 ? { kind: "reject" } : { kind: "interrupt", wish: wish() }) : { kind: "followup" },
          maxQueuedRuns: 3,
        });
        const digest = shift === 1 ? "another" : "digest";
        const expected = model.submit(sessionId, requestId, digest, message);
        return [
          expected,
          store.submitMessage(
            by,
            request(() => "", { requestId, digest }),
            message,
          ),
        ];
      }
      case "claim": {
        const expected = model.claim(size).map((run) => ({ run }));
        const claim = store.claimRuns({ limit: size, events: runStarted });
        return [expected, claim];
      }
      case "take-over": {
        if (known === undefined) {
          break;
        }
        const target = { tenant: by.tenant, runId: known.runId, epoch: known.epoch + shift };
        return [model.takeOver(known, target.epoch), store.takeOverRun(target, runStarted)];
      }
      case "append":
      case "end": {
        if (known === undefined) {
          break;
        }
        const { runId, epoch, session } = known;
        const row = { tenant: by.tenant, runId, sessionId: session.sessionId, epoch: epoch + (flag ? shift : 0) };
        const finish =
          operation.kind === "end" ? { status: 1, failure: new Uint8Array(), followUp: followUp() } : undefined;
        const batch = {
          ...row,
          batchNo: known.batchNo + 1 + (flag ? 0 : shift),
          events: Array.from({ length: size }, () => delta(runId, "x")),
          actedCommandId: 0,
          readMessageIds: known.commands
            .map(({ messageId }) => messageId)
            .filter((messageId, index) => messageId !== "" && index % 3 === size % 3),
          callEvents: [],
          finish,
        };
        return [model.append(known, batch), store.appendBatch(batch)];
      }
      case "finish": {
        if (known === undefined) {
          break;
        }
        const target = { tenant: by.tenant, runId: known.runId, epoch: known.epoch + shift };
        const next = followUp();
        const expected = model.finish(known, target.epoch, next.runId);
        const event = () => runFinished(target.runId);
        return [expected, store.finishRun(target, { status: 2, failure: new Uint8Array(), followUp: next, event })];
      }
      case "cancel": {
        if (known === undefined) {
          break;
        }
        const { runId } = known;
        const cancel = { runId, ...wish("somebody", "") };
        return [
          model.cancel(known),
          store.cancelRun(
            by,
            request(() => ""),
            cancel,
          ),
        ];
      }
    }
    // There is no run yet to do it to.
    return [undefined, Promise.resolve(undefined)];
  }

  async compare(store: SessionStore): Promise<void> {
    const [stored, expected] = await this.model.describe(store, this.by.tenant);
    expect(stored).toEqual(expected);
    for (const { sessionId, headSeq } of this.model.sessions) {
      expect((await readLog(store, sessionId, this.by.tenant)).length).toBe(headSeq);
    }
  }
}

async function drain(store: SessionStore): Promise<void> {
  for (;;) {
    const claimed = await store.claimRuns({ limit: 100, events: () => [] });
    if (claimed.length === 0) {
      return;
    }
    for (const { run } of claimed) {
      const finish = { status: 1, failure: new Uint8Array(), followUp: followUp() };
      await store.appendBatch(batchOf(run, 1, { events: [runFinished(run.runId)], finish }));
    }
  }
}
