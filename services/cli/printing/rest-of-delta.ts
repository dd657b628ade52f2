/** What a merged delta adds to a block whose beginning is known (S2, S3). */
import { clone } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { indexAtByte, utf8Length } from "../../../web/client/fold/utf8.ts";

/** How far a block is known. */
export interface KnownPart {
  /** The last seq that touched it. */
  readonly seq: bigint;
  /** Where its known text ends, in UTF-8 bytes. */
  readonly byteEnd: bigint;
}

/** The delta that an event is; undefined for every other body. */
export function deltaOf({ body }: Event) {
  return body.case === "textDelta" || body.case === "thinkingDelta" ? body.value : undefined;
}

/** Where the text of a delta ends in its block, in UTF-8 bytes. */
export function byteEndOf(delta: { readonly offset: bigint; readonly text: string }): bigint {
  return delta.offset + BigInt(utf8Length(delta.text));
}

/**
 * The part of a merged delta that follows what is known of its block, as an event of its own. Undefined when the known
 * text does not end in the delta at a border of code points: then it is not made of the deltas that are known.
 */
export function restOfDelta(merged: Event, known: KnownPart): Event | undefined {
  const rest = clone(EventSchema, merged);
  const delta = deltaOf(rest);
  if (delta === undefined || known.byteEnd < delta.offset) return undefined;
  const index = indexAtByte(delta.text, Number(known.byteEnd - delta.offset), 0);
  if (index === undefined) return undefined;
  delta.text = delta.text.slice(index);
  delta.offset = known.byteEnd;
  rest.firstSeq = known.seq + 1n;
  return rest;
}
