/** One way to have a turn with the model: through a mesh, or directly. */

export interface TurnTimes {
  /** Milliseconds from the call to the first piece of text. */
  readonly firstTextMs: number;
  /** Milliseconds from the call to the end of the answer. */
  readonly totalMs: number;
  /** UTF-8 bytes of the answer, so that ways can be held to the same work. */
  readonly textBytes: number;
  /** Events that the client received. */
  readonly events: number;
}

/** A conversation that grows with every turn. */
export interface Talk {
  readonly turn: () => Promise<TurnTimes>;
  readonly close: () => Promise<void>;
}

export interface Way {
  readonly name: string;
  readonly openTalk: () => Promise<Talk>;
  /** Processor milliseconds that the way has used so far; of its own processes, not of the model or the load. */
  readonly cpuMs: () => number;
  readonly close: () => Promise<void>;
}

/** What is said in every turn. */
export const prompt = "Say the usual.";
export const turnTimeoutMs = 30_000;
