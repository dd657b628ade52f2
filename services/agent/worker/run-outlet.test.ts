import { describe, expect, it } from "vitest";
import type { RawAppendBatch } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { RunLost } from "../loop/run-ending.ts";
import { RunOutlet } from "./run-outlet.ts";

const key = { sessionId: "ses_1", runId: "run_1", epoch: 3 };
const event = (size = 1) => new Uint8Array(size);
const accepted = (batchNo: number) =>
  ({
    $typeName: "atoll.session.v1.BatchAccepted",
    runId: "run_1",
    epoch: 3n,
    batchNo: BigInt(batchNo),
    firstSeq: 0n,
    lastSeq: 0n,
  }) as const;
const refused = (reason: ErrorReason) =>
  ({
    $typeName: "atoll.session.v1.BatchRefused",
    runId: "run_1",
    epoch: 3n,
    batchNo: 1n,
    reason,
    message: "",
  }) as const;

function setUp() {
  const sent: RawAppendBatch[] = [];
  const outlet = new RunOutlet(key, (batch) => void sent.push(batch));
  return { outlet, sent, numbers: () => sent.map(({ batchNo }) => Number(batchNo)) };
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  promise.then(note, note);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe(`the batches of a run ${verifies("L4")}`, () => {
  it("are numbered from 1 under the run's epoch", () => {
    const { outlet, sent } = setUp();
    outlet.deliver([event(), event()]);
    outlet.deliver([event()]);
    outlet.deliver([]);
    expect(sent).toMatchObject([
      { ...key, epoch: 3n, batchNo: 1n, events: [event(), event()] },
      { ...key, epoch: 3n, batchNo: 2n, events: [event()] },
    ]);
    expect(outlet.held()).toEqual({ ...key, epoch: 3n, ackedBatchNo: 0n });
  });

  it("say with the part that holds the end of a delivery what was acted on, and with all that follow", () => {
    const { outlet, sent } = setUp();
    outlet.deliver([event()], 0);
    outlet.deliver([new Uint8Array(700_000), new Uint8Array(700_000)], 3);
    outlet.deliver([event()], 3);
    expect(sent.map(({ actedCommandId }) => actedCommandId)).toEqual([0n, 0n, 3n, 3n]);
  });

  it("are sent again in order until they are acknowledged", () => {
    const { outlet, numbers } = setUp();
    for (let n = 0; n < 4; n++) outlet.deliver([event()]);
    outlet.accepted(accepted(2));
    outlet.resend();
    expect(numbers()).toEqual([1, 2, 3, 4, 3, 4]);
    expect(outlet.held().ackedBatchNo).toBe(2n);
    outlet.accepted(accepted(1));
    expect(outlet.held().ackedBatchNo).toBe(2n);
    outlet.accepted(accepted(4));
    outlet.resend();
    expect(numbers()).toHaveLength(6);
  });

  it("are durable when the last one is acknowledged, later ones not waited for", async () => {
    const { outlet } = setUp();
    expect(await isSettled(outlet.durable())).toBe(true);
    outlet.deliver([event()]);
    outlet.deliver([event()]);
    const durable = outlet.durable();
    outlet.deliver([event()]);
    outlet.accepted(accepted(1));
    expect(await isSettled(durable)).toBe(false);
    outlet.accepted(accepted(2));
    await durable;
  });

  it("are cut before they grow over 1 MiB, and an event alone may be larger", () => {
    const { outlet, sent } = setUp();
    outlet.deliver([event(600_000), event(600_000), event(1_500_000), event(10)]);
    expect(sent.map(({ events }) => events.map(({ length }) => length))).toEqual([
      [600_000],
      [600_000],
      [1_500_000],
      [10],
    ]);
  });
});

describe(`the bound on what is on its way ${verifies("L7")}`, () => {
  it("makes the loop wait at 128 batches until the store catches up", async () => {
    const { outlet } = setUp();
    for (let n = 0; n < 128; n++) outlet.deliver([event()]);
    expect(await isSettled(outlet.ready())).toBe(true);
    outlet.deliver([event()]);
    const ready = outlet.ready();
    expect(await isSettled(ready)).toBe(false);
    outlet.accepted(accepted(1));
    await ready;
  });

  it("makes the loop wait at 2 MiB", async () => {
    const { outlet } = setUp();
    for (let n = 0; n < 3; n++) outlet.deliver([event(1_000_000)]);
    const ready = outlet.ready();
    expect(await isSettled(ready)).toBe(false);
    outlet.accepted(accepted(1));
    await ready;
  });
});

describe(`a run whose batch is refused for good ${verifies("FL1")}`, () => {
  it("tells who waits for it, and numbers what comes next in its place", async () => {
    const { outlet, numbers } = setUp();
    for (let n = 0; n < 4; n++) outlet.deliver([event(1_000)]);
    outlet.accepted(accepted(1));
    const refusedFor = new Error("no log takes it");
    const waiting = outlet.durable();
    outlet.restartAt(2, refusedFor);
    await expect(waiting).rejects.toBe(refusedFor);
    expect(outlet.nextUnacked).toBe(2);
    outlet.deliver([event()]);
    expect(numbers()).toEqual([1, 2, 3, 4, 2]);
    const end = outlet.durable();
    outlet.accepted(accepted(2));
    await end;
    await outlet.settled();
    outlet.resend();
    expect(numbers()).toHaveLength(5);
  });

  it("keeps whoever waits for what was stored", async () => {
    const { outlet } = setUp();
    outlet.deliver([event()]);
    const waiting = outlet.durable();
    outlet.deliver([event()]);
    outlet.restartAt(2, new Error("no log takes it"));
    outlet.accepted(accepted(1));
    await waiting;
  });

  it("has room again", async () => {
    const { outlet } = setUp();
    for (let n = 0; n < 4; n++) outlet.deliver([event(1_000_000)]);
    const ready = outlet.ready();
    outlet.restartAt(1, new Error("no log takes it"));
    await ready;
  });
});

describe("a run that can't be written any more", () => {
  it("tells everyone who waits, now and later, and sends nothing", async () => {
    const { outlet, numbers } = setUp();
    for (let n = 0; n < 129; n++) outlet.deliver([event()]);
    const waiting = [outlet.ready(), outlet.durable()];
    const lost = new RunLost("somebody else has it");
    outlet.fail(lost);
    for (const each of waiting) await expect(each).rejects.toBe(lost);
    outlet.deliver([event()]);
    outlet.resend();
    expect(numbers()).toHaveLength(129);
    await expect(outlet.durable()).rejects.toBe(lost);
    await expect(outlet.ready()).rejects.toBe(lost);
  });

  it("is not durable, though everything before had been acknowledged", async () => {
    const { outlet } = setUp();
    outlet.deliver([event()]);
    outlet.accepted(accepted(1));
    outlet.fail(new RunLost("somebody else has it"));
    outlet.deliver([event()]);
    await expect(outlet.durable()).rejects.toThrow("somebody else has it");
  });

  it.each([
    [ErrorReason.EPOCH_FENCED, "lost"],
    [ErrorReason.RUN_FINISHED, "lost"],
    [999 as ErrorReason, "lost"],
    [ErrorReason.STORE_UNAVAILABLE, "resend"],
    [ErrorReason.BATCH_OUT_OF_ORDER, "resend"],
    [ErrorReason.EVENT_NOT_ALLOWED, "broken"],
  ])("is told by the refusal %s: %s", (reason, verdict) => {
    expect(setUp().outlet.refused(refused(reason))).toBe(verdict);
  });
});
