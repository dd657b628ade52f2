// Two folds, TypeScript's and Python's: both pass the golden vectors, and both make the same of a log and of what
// compaction makes of it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fromBinary, type JsonObject, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { mergeDeltas } from "../../services/kernel/event/merge-deltas.ts";
import type { StoredEvent } from "../../services/kernel/event/stored-event.ts";
import { describeConversation } from "../../web/client/fold/describe-conversation.fixture.ts";
import { applyEvents, createFold } from "../../web/client/fold/fold-events.ts";
import { verifies } from "../requirements.ts";
import { type ClientProgram, startProgram } from "./client-program.ts";
import { generatePythonStubs, python } from "./python-stubs.ts";
import { anyLog } from "./random-log.ts";

interface Vector {
  readonly name: string;
  readonly streams: readonly (readonly JsonObject[])[];
  readonly expect?: object;
  readonly expectError?: string;
}

interface Folded {
  readonly conversation: object;
  readonly error?: string;
}

const vectorFolder = resolve(import.meta.dirname, "../contract/fold-vectors");
const vectors = readdirSync(vectorFolder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => JSON.parse(readFileSync(join(vectorFolder, file), "utf8")) as Vector);

/** The Python fold, asked one question at a time. */
class PythonFold {
  readonly #program: ClientProgram;
  readonly #lines: AsyncIterator<string>;

  constructor(stubs: string) {
    // Nothing is left beside the sources.
    const env = { PYTHONPATH: stubs, PYTHONDONTWRITEBYTECODE: "1" };
    this.#program = startProgram(python, [resolve(import.meta.dirname, "python_fold_client.py")], { env });
    this.#lines = this.#program.lines[Symbol.asyncIterator]();
  }

  async fold(streams: Vector["streams"]): Promise<Folded> {
    this.#program.write(`${JSON.stringify({ streams })}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the Python fold ended: ${(await this.#program.ended).errors}`);
    return JSON.parse(value) as Folded;
  }

  close(): Promise<unknown> {
    this.#program.end();
    return this.#program.ended;
  }
}

const stubs = mkdtempSync(join(tmpdir(), "atoll-fold-"));
let pythonFold: PythonFold;
beforeAll(async () => {
  await generatePythonStubs(stubs);
  pythonFold = new PythonFold(stubs);
});
afterAll(async () => {
  await pythonFold?.close();
  rmSync(stubs, { recursive: true, force: true });
});

describe(`the golden vectors in Python ${verifies("S1", "S3", "S7", "S8")}`, () => {
  test("are all there", () => expect(vectors.length).toBeGreaterThanOrEqual(40));

  test.each(vectors)("$name", async ({ streams, expect: expected, expectError }) => {
    const { conversation, error } = await pythonFold.fold(streams);
    expect(error).toBe(expectError);
    if (expectError === undefined) expect(conversation).toEqual(expected);
  });

  test("have every body that an event can have", () => {
    const inVectors = new Set(vectors.flatMap(({ streams }) => streams.flat().flatMap((event) => Object.keys(event))));
    const bodies = EventSchema.oneofs.flatMap(({ fields }) => fields.map(({ jsonName }) => jsonName));
    expect(bodies.filter((body) => !inVectors.has(body))).toEqual([]);
  });
});

describe(`a merged log ${verifies("S3")}`, () => {
  const decode = (events: readonly StoredEvent[]) => events.map(({ bytes }) => fromBinary(EventSchema, bytes));
  const toStream = (events: readonly StoredEvent[]) =>
    decode(events).map((event) => toJson(EventSchema, event) as JsonObject);
  const foldHere = (events: readonly StoredEvent[]): object =>
    JSON.parse(JSON.stringify(describeConversation(applyEvents(createFold(), decode(events))))) as object;

  test("says what the log said, merged whole or in windows, in both languages", async () => {
    const property = fc.asyncProperty(anyLog, fc.integer({ min: 1, max: 20 }), async (log, window) => {
      const windows = Array.from({ length: Math.ceil(log.length / window) }, (_, index) =>
        mergeDeltas(log.slice(index * window, (index + 1) * window)),
      );
      const said = foldHere(log);
      for (const merged of [mergeDeltas(log), windows.flat()]) {
        expect(foldHere(merged)).toEqual(said);
        expect((await pythonFold.fold([toStream(merged)])).conversation).toEqual(said);
      }
      expect((await pythonFold.fold([toStream(log)])).conversation).toEqual(said);
    });
    await fc.assert(property, { numRuns: 200 });
  });

  test("resumes anywhere: what a reader has and a merged delta that reaches back make the same", async () => {
    const property = fc.asyncProperty(anyLog, fc.nat({ max: 60 }), async (log, at) => {
      const head = log.slice(0, Math.min(at, log.length));
      const cursor = head.at(-1)?.seq ?? 0;
      const rest = mergeDeltas(log).filter(({ seq }) => seq > cursor);
      const { conversation } = await pythonFold.fold([toStream(head), toStream(rest)]);
      expect(conversation).toEqual(foldHere(log));
    });
    await fc.assert(property, { numRuns: 100 });
  });
});
