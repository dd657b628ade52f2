/**
 * Where a session stands in the indexes that a change of its log seldom moves it in: they are by something coarser than the
 * head, so that an append does not pay for them.
 */
import type { SessionRow } from "../../rows.ts";

/** Numbers of a window of compaction: 1–256, 257–512 and so on. Part of the file's format: windows do not move. */
export const windowSeqs = 256;

export interface SessionPlaces {
  /** What lists by the last change begin with. */
  readonly updatedSecond: number;
  /** 1 while its log has events that nobody has searched through. */
  readonly toSearch: 0 | 1;
  /** 1 while its log has a window to compact. */
  readonly toCompact: 0 | 1;
}

export function placesOf({ updatedAtMs, headSeq, searchedSeq, compactedSeq }: SessionRow): SessionPlaces {
  return {
    updatedSecond: secondOf(updatedAtMs),
    toSearch: headSeq > searchedSeq ? 1 : 0,
    toCompact: headSeq - compactedSeq >= windowSeqs ? 1 : 0,
  };
}

export function secondOf(atMs: number): number {
  return Math.floor(atMs / 1000);
}

export function areSamePlaces(one: SessionPlaces, other: SessionPlaces): boolean {
  return (
    one.updatedSecond === other.updatedSecond && one.toSearch === other.toSearch && one.toCompact === other.toCompact
  );
}
