import { afterEach, beforeEach, expect, it } from "vitest";
import type { AppliedEvent } from "../history.ts";
import { checkReader } from "./check-reader.ts";
import { finished, type HistoryFolder, logOf, openHistoryFolder, queued, received } from "./synthetic.fixture.ts";

let folder: HistoryFolder;
beforeEach(() => {
  folder = openHistoryFolder();
});
afterEach(() => folder.remove());

const log = logOf(
  received("m0"),
  queued(["m0"]),
  { body: "runStarted" },
  { body: "phaseChanged", step: 1 },
  { body: "textDelta", step: 1, block: "1.1.0", offset: 0, text: "Hello" },
  finished(),
);

async function problemsOf(reader: string, events: readonly AppliedEvent[]): Promise<string[]> {
  const problems: string[] = [];
  const file = folder.write(`reader-${reader}.jsonl`, [
    { kind: "open", after: 0, logId: "", atMs: 0 },
    { kind: "events", logId: "log_a", atMs: 1, events },
  ]);
  await checkReader(file, new Map([[log.sessionId, log]]), (problem) => problems.push(problem));
  return problems;
}

it("finds nothing when a filtered reader was told of a range instead of what it excluded", async () => {
  const [first, second, third, , , last] = log.events as [
    ...[AppliedEvent, AppliedEvent, AppliedEvent, AppliedEvent, AppliedEvent, AppliedEvent],
  ];
  const omitted: AppliedEvent = { first: 4, seq: 5, body: "omitted", run: "", attempt: 0, step: 0, digest: "" };
  expect(await problemsOf("a-filtered", [first, second, third, omitted, last])).toEqual([]);
});

it("finds bodies that a filtered reader was sent although it excluded them", async () => {
  expect(await problemsOf("a-filtered", log.events)).toEqual([
    "S6 reader a-filtered: was sent 2 bodies that it excludes, the first a phaseChanged at seq 4",
  ]);
});

it("lets every other reader be sent all", async () => {
  expect(await problemsOf("a-plain", log.events)).toEqual([]);
});
