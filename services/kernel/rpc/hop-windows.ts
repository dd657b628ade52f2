/**
 * How many bytes may be on their way between our own services before the reader has to say that it took some. With less
 * than a page or a batch, both ends take turns waiting for each other.
 */
export const hopWindows = {
  /** One stream: a page, or a full batch, goes in one piece. A reader that stalls holds as much here. */
  streamBytes: 1_048_576,
  /** All streams of a connection together. */
  connectionBytes: 4_194_304,
} as const;
