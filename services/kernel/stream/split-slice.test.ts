import fc from "fast-check";
import { expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { splitSlice } from "./split-slice.ts";

it(`parts of a slice are the slice, in order and bounded ${verifies("S1", "L7")}`, () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 40 }), fc.integer({ min: 1, max: 100 }), (sizes, maxBytes) => {
      const events = sizes.map((size, index) => ({ firstSeq: index + 1, seq: index + 1, bytes: new Uint8Array(size) }));
      const parts = [...splitSlice({ logId: "log", events, headSeq: 99 }, maxBytes)];
      expect(parts.flatMap((part) => part.events)).toEqual(events);
      for (const part of parts) {
        const bytes = part.events.reduce((sum, event) => sum + event.bytes.length, 0);
        expect(part.events.length === 1 || bytes <= maxBytes).toBe(true);
        expect(part).toMatchObject({ logId: "log", headSeq: 99 });
        expect(part.events.length > 0 || events.length === 0).toBe(true);
      }
    }),
  );
});
