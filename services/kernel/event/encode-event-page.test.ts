import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { RawEventPageSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { encodeEventPage } from "./encode-event-page.ts";

/** The fields of a message may stand in any order; the library writes them by number, and events have the lowest. */
it("encodes a page byte for byte as the library does", () => {
  const page = fc.record({
    events: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
    logId: fc.string(),
    headSeq: fc.bigInt({ min: 0n, max: 2n ** 53n }),
    oldestSeq: fc.bigInt({ min: 0n, max: 2n ** 53n }),
    nextPageToken: fc.string(),
  });
  fc.assert(
    fc.property(page, (init) => {
      const message = create(RawEventPageSchema, init);
      expect(encodeEventPage(message)).toEqual(toBinary(RawEventPageSchema, message));
    }),
  );
});

it("encodes an event of several megabytes", () => {
  const message = create(RawEventPageSchema, { events: [new Uint8Array(3_000_000).fill(7)], logId: "log_1" });
  expect(Buffer.from(encodeEventPage(message)).equals(toBinary(RawEventPageSchema, message))).toBe(true);
});
