/**
 * What was written for peers that have not taken it, as sums: of each caller and of all.
 *
 * Keeps F4: a caller that opens many streams or connections and reads none of them holds no more than one bound. Over it
 * answers of it are given up until it fits, first the one of which nothing was taken for longest: whoever reads loses
 * nothing beside those who do not.
 */
import type { EdgeResponse } from "../listener/request-timeouts.ts";

export interface UnreadBounds {
  /** Bytes of one principal. */
  readonly maxUnreadBytesPerCaller: number;
  /** Bytes of one address, together, of answers to nobody proven. */
  readonly maxUnreadBytesPerAddress: number;
  /** Bytes of all. */
  readonly maxUnreadBytes: number;
}

/** An answer that is not finished. */
export interface UnreadAnswer {
  readonly response: EdgeResponse;
  /** Who pays: a principal once it is proven, an address before. */
  readonly caller: () => { readonly name: string; readonly isProven: boolean };
  /** Bytes beside those that were written, for example the page of a log that waits behind them. */
  readonly heldBytes: () => number;
  readonly giveUp: (limit: string) => void;
}

interface Counted extends UnreadAnswer {
  bytes: number;
  pendingBytes: number;
  /** When something of it was taken last, or it began to wait. */
  takenAtMs: number;
  isOver: boolean;
  paidBy: Caller;
}

interface Caller {
  readonly name: string;
  readonly isProven: boolean;
  readonly answers: Set<Counted>;
  bytes: number;
}

export class UnreadAnswers {
  readonly #bounds: UnreadBounds;
  readonly #now: () => number;
  readonly #callers = new Map<string, Caller>();
  #total = 0;

  constructor(bounds: UnreadBounds, now: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#now = now;
  }

  /** Counts an answer at each of its writes, until it is closed. */
  watch(answer: UnreadAnswer): void {
    const counted: Counted = {
      ...answer,
      ...{ bytes: 0, pendingBytes: 0, takenAtMs: this.#now(), isOver: false },
      paidBy: this.#callerOf(answer.caller()),
    };
    counted.paidBy.answers.add(counted);
    const { response } = answer;
    this.#afterWrites(response, () => {
      if (counted.isOver) return;
      this.#count(counted);
      this.#keepBounds(counted.paidBy);
    });
    // Between two counts as much may have come as was taken.
    response.on("drain", () => {
      counted.takenAtMs = this.#now();
    });
    response.once("close", () => this.#forget(counted));
  }

  /** Bytes that wait for all peers, as they were counted last. */
  get bytes(): number {
    return this.#total;
  }

  #afterWrites(response: EdgeResponse, counted: () => void): void {
    // What a stream holds can't be asked for before it is written, and nothing tells when it is.
    const { write, end } = response as { write: (...args: unknown[]) => boolean; end: (...args: unknown[]) => unknown };
    Object.assign(response, {
      write: (...args: unknown[]) => {
        const isTaken = write.apply(response, args);
        counted();
        return isTaken;
      },
      end: (...args: unknown[]) => {
        const ended = end.apply(response, args);
        counted();
        return ended;
      },
    });
  }

  #callerOf({ name, isProven }: ReturnType<UnreadAnswer["caller"]>): Caller {
    let caller = this.#callers.get(name);
    if (caller === undefined) {
      caller = { name, isProven, answers: new Set(), bytes: 0 };
      this.#callers.set(name, caller);
    }
    return caller;
  }

  #count(answer: Counted): void {
    const owner = answer.caller();
    if (owner.name !== answer.paidBy.name) {
      this.#release(answer);
      answer.paidBy = this.#callerOf(owner);
      answer.paidBy.answers.add(answer);
    }
    const pending = countPendingBytes(answer.response);
    if (answer.pendingBytes === 0 || pending < answer.pendingBytes) answer.takenAtMs = this.#now();
    answer.pendingBytes = pending;
    const bytes = pending === 0 ? 0 : pending + answer.heldBytes();
    this.#add(answer, bytes - answer.bytes);
  }

  #add(answer: Counted, bytes: number): void {
    answer.bytes += bytes;
    answer.paidBy.bytes += bytes;
    this.#total += bytes;
  }

  #release(answer: Counted): void {
    this.#add(answer, -answer.bytes);
    const { paidBy } = answer;
    paidBy.answers.delete(answer);
    if (paidBy.answers.size === 0) this.#callers.delete(paidBy.name);
  }

  #forget(answer: Counted): void {
    if (answer.isOver) return;
    answer.isOver = true;
    this.#release(answer);
  }

  #keepBounds(caller: Caller): void {
    const ofCaller = caller.isProven ? this.#bounds.maxUnreadBytesPerCaller : this.#bounds.maxUnreadBytesPerAddress;
    if (this.#isOver(caller, ofCaller)) {
      const limit = `${ofCaller} unread bytes of a caller`;
      while (caller.bytes > ofCaller && this.#giveUpOne(caller, limit));
    }
    if (this.#total <= this.#bounds.maxUnreadBytes) return;
    for (const each of this.#callers.values()) this.#recount(each);
    const limit = `${this.#bounds.maxUnreadBytes} unread bytes of all callers`;
    while (this.#total > this.#bounds.maxUnreadBytes) {
      const largest = [...this.#callers.values()].reduce(
        (most, each) => (each.bytes > most.bytes ? each : most),
        caller,
      );
      if (!this.#giveUpOne(largest, limit)) return;
    }
  }

  /** Between two writes much may have been taken: the sum is only believed when it was counted anew. */
  #isOver(caller: Caller, bound: number): boolean {
    if (caller.bytes <= bound) return false;
    this.#recount(caller);
    return caller.bytes > bound;
  }

  #recount(caller: Caller): void {
    for (const answer of [...caller.answers]) this.#count(answer);
  }

  /** Whether there was one. */
  #giveUpOne(caller: Caller, limit: string): boolean {
    let chosen: Counted | undefined;
    for (const answer of caller.answers) {
      if (answer.bytes > 0 && answer.takenAtMs < (chosen?.takenAtMs ?? Number.POSITIVE_INFINITY)) chosen = answer;
    }
    if (chosen === undefined) return false;
    this.#forget(chosen);
    chosen.giveUp(limit);
    return true;
  }
}

/** Bytes that were handed to the connection and that it has not taken. */
export function countPendingBytes(response: EdgeResponse): number {
  return "stream" in response ? (response.stream?.writableLength ?? 0) : response.writableLength;
}
