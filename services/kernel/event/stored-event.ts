/** An event of a log as it travels inside the mesh: encoded once, never decoded on the way. */
export interface StoredEvent {
  /** The first seq that it covers. */
  readonly firstSeq: number;
  /** The last seq that it covers. */
  readonly seq: number;
  /** An encoded atoll.event.v1.Event with server fields. */
  readonly bytes: Uint8Array;
}
