import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type RunRequest, RunRequestSchema } from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { maxHistoryEvents, readStart } from "./read-start.ts";

const events = (from: number, count: number, text = ""): Event[] =>
  Array.from({ length: count }, (_, n) =>
    create(EventSchema, { seq: BigInt(from + n), body: { case: "textDelta", value: { text } } }),
  );

const history = (...of: Event[]): RunRequest =>
  create(RunRequestSchema, { frame: { case: "history", value: { events: of } } });
const start = create(RunRequestSchema, { frame: { case: "start", value: { agentId: "main" } } });
const cancel = create(RunRequestSchema, { frame: { case: "cancel", value: {} } });

async function* frames(...all: RunRequest[]): AsyncGenerator<RunRequest> {
  yield* all;
}

const factsOf = (reading: Promise<unknown>) => reading.then(() => "read", failureFacts);

describe("the beginning of a run on its own", () => {
  it("has a history of any number of frames, or none", async () => {
    const read = await readStart(frames(history(...events(1, 3)), history(...events(4, 2)), start));
    expect(read.start.agentId).toBe("main");
    expect(read.history.map(({ seq }) => Number(seq))).toEqual([1, 2, 3, 4, 5]);
    expect((await readStart(frames(start))).history).toEqual([]);
  });

  it("is refused when anything else comes first, or nothing", async () => {
    for (const input of [
      frames(cancel, start),
      frames(history(...events(1, 1)), cancel),
      frames(),
      frames(history()),
    ]) {
      expect(await factsOf(readStart(input))).toMatchObject({ reason: ErrorReason.FIELD_INVALID });
    }
  });

  it(`is bounded in events and in bytes ${verifies("L7")}`, async () => {
    async function* many() {
      for (let from = 1; from <= maxHistoryEvents + 1; from += 10_000) yield history(...events(from, 10_000));
    }
    const large = events(1, 4, "x".repeat(1024 * 1024 - 64));
    async function* big() {
      for (let frame = 0; frame < 17; frame++) yield history(...large);
    }
    for (const input of [many(), big()]) {
      expect(await factsOf(readStart(input))).toMatchObject({
        reason: ErrorReason.MESSAGE_TOO_LARGE,
        metadata: { limit_bytes: "67108864" },
      });
    }
  });
});
