import { readdirSync, readFileSync } from "node:fs";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { writeTranscript } from "./transcript.ts";
import { ended, logOf, said, session, started, transcript, type Written } from "./written-log.fixture.ts";

describe("the pages of a log, in its transcript", () => {
  const folder = new URL("../../../test/contract/fold-vectors/", import.meta.url);
  const vectors = readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Vector)
    .filter(({ streams, expectError }) => streams.length === 1 && expectError === undefined);

  it("is the same wherever the pages of the log end", async () => {
    const logs = vectors
      .map(({ streams: [stream = []] }) =>
        stream.map((json) => fromJson(EventSchema, json, { ignoreUnknownFields: true })),
      )
      .filter(endsEachRunOnce);
    expect(logs.length).toBeGreaterThan(8);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...logs), fc.array(fc.nat(40)), async (log, cuts) => {
        const borders = [0, ...new Set(cuts.map((cut) => cut % log.length)), log.length].sort((a, b) => a - b);
        const pages = borders.slice(1).map((to, index) => log.slice(borders[index], to));
        expect(await transcript(pages)).toBe(await transcript([log]));
      }),
      { numRuns: 500 },
    );
  });

  /** The fold takes more than a log can hold (R2); what a transcript has forgotten can't come back. */
  function endsEachRunOnce(log: readonly Event[]): boolean {
    const ended = new Set<string>();
    return log.every(({ runId, body }) => {
      if (ended.has(runId)) return false;
      if (body.case === "runFinished") ended.add(runId);
      return true;
    });
  }

  it(`forgets what it has written ${verifies("L7")}`, async () => {
    // Every page is a run; what is written of it comes with the next page, not at the end.
    const log = logOf(
      ...Array.from({ length: 30 }, (_, n): Written[] => {
        const runId = `run_${n}`;
        return [said(`m${n}`, runId), started(runId), ended(RunStatus.COMPLETED, {}, runId)];
      }).flat(),
    );
    let served = 0;
    const serve = async function* () {
      for (; served < 30; served++) yield log.slice(3 * served, 3 * served + 3);
    };
    let written = 0;
    for await (const paragraph of writeTranscript(session, serve())) {
      if (paragraph.includes("\nm")) written += 1;
      expect(served - written).toBeLessThanOrEqual(2);
    }
    expect(written).toBe(30);
  });
});

interface Vector {
  readonly streams: readonly (readonly JsonValue[])[];
  readonly expectError?: string;
}
