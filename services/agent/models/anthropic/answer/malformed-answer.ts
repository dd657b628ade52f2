/** An answer that is not one: what can't be read, or more than any answer has. The step is void; it may be asked for again. */
export class MalformedAnswer extends Error {
  override readonly name = "MalformedAnswer";
}

/** An `error` event in the middle of an answer. */
export class StreamedError extends Error {
  override readonly name = "StreamedError";
  /** As the API names it, for example `overloaded_error`. */
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}
