/**
 * Lets an answer whose messages are always ready take turns with everything else of the process.
 *
 * Keeps F4: such an answer never waits until its connection holds a whole buffer of it, ten thousand small messages or more,
 * and until then nobody else is served, and nothing hears that its reader has left.
 */
import { setImmediate } from "node:timers/promises";

/** Milliseconds that an answer may write without a pause. */
const turnMs = 8;

/** The same chunks. Between two of them whatever waits gets its turn, once `turnMs` are over. */
export function takeTurns<Chunk>(chunks: AsyncIterable<Chunk>): AsyncIterable<Chunk> {
  return {
    [Symbol.asyncIterator]() {
      const inner = chunks[Symbol.asyncIterator]();
      let turnStartMs = performance.now();
      return {
        async next() {
          if (performance.now() - turnStartMs >= turnMs) {
            await setImmediate();
            turnStartMs = performance.now();
          }
          return inner.next();
        },
        // What the library does to the handler's own iterator when its reader has left.
        ...(inner.throw === undefined ? {} : { throw: inner.throw.bind(inner) }),
        ...(inner.return === undefined ? {} : { return: inner.return.bind(inner) }),
      };
    },
  };
}
