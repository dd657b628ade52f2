/**
 * Writes lines to a child's input, one at a time, so that it is known of each whether any of it was written (F3).
 * Keeps E6: see outbox.ts.
 */
import type { Writable } from "node:stream";
import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import { RequestFault } from "../mcp-transport.ts";
import { Outbox } from "../outbox.ts";

interface Waiting {
  readonly line: string;
  /** Of a request. */
  readonly id: RequestId | undefined;
  readonly written: PromiseWithResolvers<void>;
}

export class InputQueue {
  readonly #outbox = new Outbox();
  #waiting: Waiting[] = [];
  #isWriting = false;

  /** Resolves when the line was written, rejects with a RequestFault. Undefined when there is no room. */
  write(input: Writable, line: string, id: RequestId | undefined): Promise<void> | undefined {
    if (!this.#outbox.take(line)) return undefined;
    const written = Promise.withResolvers<void>();
    this.#waiting.push({ line, id, written });
    if (!this.#isWriting) this.#writeNext(input);
    return written.promise;
  }

  /** Gives up what was not begun; returns the ids of its requests. The promises of `write` are rejected. */
  giveUp(problem: string): RequestId[] {
    const given = this.#waiting;
    this.#waiting = [];
    for (const { written } of given) written.reject(new RequestFault("not-sent", problem));
    return given.flatMap(({ id }) => (id === undefined ? [] : [id]));
  }

  #writeNext(input: Writable): void {
    const next = this.#waiting.shift();
    this.#isWriting = next !== undefined;
    if (next === undefined) return;
    input.write(next.line, (error) => {
      this.#outbox.release(next.line);
      if (error) next.written.reject(new RequestFault("lost", error.message));
      else next.written.resolve();
      this.#writeNext(input);
    });
  }
}
