// The contract of SessionStore.indexMessages: what can be found, and by what.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import { verifies } from "../../requirements.ts";
import { talksIn } from "./search-fixture.ts";
import {
  append,
  batchOf,
  claimOne,
  lastBatchOf,
  otherTenant,
  outcomeOf,
  request,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  wish,
} from "./store-fixture.ts";

export function sessionSearchSuite(driver: SessionStoreDriver): void {
  describe("search", () => {
    const test = new StoreUnderTest(driver);
    const { find, indexAll, makeTalk, textDelta } = talksIn(test);

    it("finds messages that have every word, whatever their case and their diacritics", async () => {
      await makeTalk("boats", "The Café at the harbour has small boats");
      await makeTalk("trains", "The station's café sells trains");
      expect(await find("cafe")).toEqual([]);
      expect(await indexAll()).toBe(2);
      expect(await find("cafe")).toEqual(["boats", "trains"]);
      expect(await find("CAFÉ harbour")).toEqual(["boats"]);
      expect(await find("harbour trains")).toEqual([]);
      expect(await find("boats, harbour!")).toEqual(["boats"]);
    });

    it("takes the last word as a beginning, and quoted words as they stand", async () => {
      await makeTalk("boats", "small boats in the harbour");
      await indexAll();
      expect(await find("small harb")).toEqual(["boats"]);
      expect(await find("smal harbour")).toEqual([]);
      expect(await find('"small boats"')).toEqual(["boats"]);
      expect(await find('"boats small"')).toEqual([]);
      expect(await find('"small boa"')).toEqual([]);
      expect(await find('"small boa')).toEqual(["boats"]);
      expect(await find('harbour "small boats" in')).toEqual(["boats"]);
    });

    it("answers any string, and none is syntax", async () => {
      await makeTalk("boats", "small boats NEAR the harbour");
      await makeTalk("fish", "AND OR NOT NEAR");
      await indexAll();
      for (const query of [" ", "?!", '"', '""', "\0", "*", "(", ")", "text:", "^", "-", "{text}:x", "\ud800"])
        expect(await find(query)).toEqual([]);
      expect(await find("NOT boats")).toEqual([]);
      expect(await find("boats OR fish")).toEqual([]);
      expect(await find("small NEAR(the harbour)")).toEqual(["boats"]);
      expect(await find("text:boats")).toEqual([]);
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: "binary", maxLength: 40 }), async (text) => {
          // Whatever is said can be looked for; what was looked for finds nothing else.
          expect(await find(`"${text}" zebra`)).toEqual([]);
          expect(["", "boats", "fish", "boats,fish"]).toContain((await find(text)).join());
        }),
        { numRuns: 200 },
      );
    });

    it("finds a word in whatever company it is", async () => {
      const strange = fc.string({ unit: "binary", maxLength: 20 });
      let count = 0;
      await fc.assert(
        fc.asyncProperty(strange, strange, async (before, behind) => {
          const word = `word${++count}end`;
          await makeTalk(word, `${before} ${word} ${behind}`);
          await indexAll();
          expect(await find(word)).toEqual([word]);
        }),
        { numRuns: 30 },
      );
    });

    it("is the tenant's own", async () => {
      await makeTalk("mine", "a secret harbour");
      await makeTalk("theirs", "a secret harbour", otherTenant);
      await indexAll();
      expect(await find("secret")).toEqual(["mine"]);
      expect(await find("secret", otherTenant)).toEqual(["theirs"]);
      // Neither is how a tenant is told from another one something that can be said.
      for (const word of ["t1", "t2", "tenant:t2 secret", "t2 secret"]) expect(await find(word)).toEqual([]);
    });

    it(`finds an answer when its run has ended, without what was discarded ${verifies("S8")}`, async () => {
      await makeTalk("talk", "question");
      const { run } = await claimOne(test.store);
      const discarded = encodeEvent({
        runId: run.runId,
        body: { case: "stepDiscarded", value: { step: 1, attempt: 1, reason: 1 } },
      });
      await append(test.store, batchOf(run, 1, { events: [textDelta(run, "wrong turn")] }));
      await indexAll();
      await append(test.store, batchOf(run, 2, { events: [discarded, textDelta(run, "the har", 0, 2)] }));
      await indexAll();
      await test.reopen();
      await append(test.store, batchOf(run, 3, { events: [textDelta(run, "the harbour lies west", 0, 2)] }));
      await indexAll();
      expect(await find("west")).toEqual([]);
      await append(test.store, lastBatchOf(run, 4));
      expect(await indexAll()).toBe(1);
      expect(await find('"the harbour lies west"')).toEqual(["talk"]);
      expect(await find("wrong")).toEqual([]);
      // The words of a message and of its answer are not one text.
      expect(await find("question west")).toEqual([]);
    });

    it(`reads an answer the same in pieces of any size, merged or not, over restarts ${verifies("S3")}`, async () => {
      const piece = fc.record({
        size: fc.integer({ min: 1, max: 200 }),
        next: fc.constantFrom("index", "compact", "reopen", "nothing"),
        maxEvents: fc.integer({ min: 1, max: 90 }),
      });
      let count = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(piece, { minLength: 2, maxLength: 8 }), async (pieces) => {
          await makeTalk("talk", "question");
          const { run } = await claimOne(test.store);
          let text = "";
          for (const [index, { size, next, maxEvents }] of pieces.entries()) {
            const events: Uint8Array[] = [];
            for (let i = 0; i < size; i++) {
              events.push(textDelta(run, "üb", Buffer.byteLength(text)));
              text += "üb";
            }
            await append(test.store, batchOf(run, index + 1, { events }));
            if (next === "index") await test.store.indexMessages({ maxEvents, maxBytes: 1_000_000 });
            if (next === "compact") await test.store.compactLogs({ maxWindows: 100 });
            if (next === "reopen") await test.reopen();
          }
          const word = `${text}word${++count}`;
          const last = textDelta(run, ` ${word}`, Buffer.byteLength(text));
          const events = [last, ...lastBatchOf(run, pieces.length + 1).events];
          await append(test.store, { ...lastBatchOf(run, pieces.length + 1), events });
          await indexAll({ maxEvents: 40, maxBytes: 1_000_000 });
          expect(await find(`"${text} ${word}"`)).toHaveLength(1);
        }),
        { numRuns: 25 },
      );
    });

    it(`reads no more at once than it is told, and at least one event ${verifies("L7")}`, async () => {
      for (const text of ["one", "two", "three"]) await makeTalk(text, text);
      expect(await test.store.indexMessages({ maxEvents: 4, maxBytes: 1e6 })).toMatchObject({
        events: 4,
        more: true,
      });
      expect(await test.store.indexMessages({ maxEvents: 9, maxBytes: 1 })).toMatchObject({ events: 1, more: true });
      expect(await test.store.indexMessages({ maxEvents: 9, maxBytes: 1e6 })).toMatchObject({
        events: 1,
        more: false,
      });
      expect(await test.store.indexMessages({ maxEvents: 9, maxBytes: 1e6 })).toEqual({
        events: 0,
        documents: 0,
        more: false,
        damaged: [],
      });
      for (const text of ["one", "two", "three"]) expect(await find(text)).toEqual([text]);
    });

    it("says how far a session can be searched", async () => {
      const sessionId = await makeTalk("talk", "words");
      const session = async () => test.store.getSession(scope, { sessionId });
      expect(await session()).toMatchObject({ headSeq: 2, searchedSeq: 0 });
      const before = await session();
      await indexAll();
      expect(await session()).toEqual({ ...before, searchedSeq: 2 });
    });

    it("cuts what is long behind its first 256 KiB", async () => {
      await makeTalk("long", `first ${"ü ".repeat(200_000)} last`);
      await makeTalk("next", "something else");
      await indexAll();
      expect(await find("first")).toEqual(["long"]);
      expect(await find("last")).toEqual([]);
      expect(await find("something")).toEqual(["next"]);
    });

    it("forgets a session that is deleted", async () => {
      const sessionId = await makeTalk("gone", "harbour");
      const { run } = await claimOne(test.store);
      await append(test.store, batchOf(run, 1, { events: [textDelta(run, "half an answer")] }));
      await indexAll();
      const deletion = { sessionId, wish: wish() };
      outcomeOf(
        await test.store.deleteSession(
          scope,
          request(() => ""),
          deletion,
        ),
      );
      // Takes the number of the deleted one in some stores.
      await makeTalk("new", "something else");
      await indexAll();
      expect(await find("harbour")).toEqual([]);
      const next = await claimOne(test.store);
      await append(test.store, lastBatchOf(next.run, 1));
      await indexAll();
      expect(await find("half")).toEqual([]);
    });
  });
}
