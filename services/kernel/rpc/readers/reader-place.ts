/**
 * How far the reader of an answer has been written to: told by who serves a log, asked when the reader is cut off (L9).
 */
import { createContextKey } from "@connectrpc/connect";
import type { CallContext } from "../call-context.ts";

interface ReaderPlace {
  sessionId: string;
  seq: number;
  /** Bytes of the log that are in memory for this reader and wait behind what was written. */
  heldBytes: number;
}

/** Undefined inside the process, where nobody is cut off. Set by the edge. */
export const readerPlaceKey = createContextKey<ReaderPlace | undefined>(undefined, { description: "reader's place" });

const places = new WeakMap<object, ReaderPlace>();

/** The place of who made a request of the port. */
export function placeOf(request: object): ReaderPlace {
  let place = places.get(request);
  if (place === undefined) {
    place = { sessionId: "", seq: 0, heldBytes: 0 };
    places.set(request, place);
  }
  return place;
}

/** Says that everything up to `seq` of a session was handed to the connection. */
export function noteWritten(context: Pick<CallContext, "values">, sessionId: string, seq: number): void {
  const place = context.values.get(readerPlaceKey);
  if (place === undefined) return;
  place.sessionId = sessionId;
  place.seq = seq;
}

/** Says how much more of a log waits in memory until the reader takes what it has. */
export function noteHeld(context: Pick<CallContext, "values">, bytes: number): void {
  const place = context.values.get(readerPlaceKey);
  if (place !== undefined) place.heldBytes = bytes;
}
