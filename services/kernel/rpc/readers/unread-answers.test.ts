import { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import type { EdgeResponse } from "../listener/request-timeouts.ts";
import { UnreadAnswers } from "./unread-answers.ts";

const bounds = { maxUnreadBytesPerCaller: 1_000, maxUnreadBytesPerAddress: 300, maxUnreadBytes: 2_000 };
const overCaller = "1000 unread bytes of a caller";

/** Answers of some callers, and a clock that the test moves. */
class Port {
  readonly unread = new UnreadAnswers(bounds, () => this.nowMs);
  nowMs = 0;
  readonly answers: Answer[] = [];

  open(caller: string, { isProven = true, heldBytes = 0 } = {}): Answer {
    const answer = new Answer(this, { caller, isProven, heldBytes });
    this.answers.push(answer);
    return answer;
  }
}

/** An answer whose reader takes only what the test takes. */
class Answer {
  readonly caller: string;
  gaveUp: string | undefined;
  readonly #port: Port;
  readonly #stream = new PassThrough({ highWaterMark: 1 });

  constructor(port: Port, { caller, isProven, heldBytes }: { caller: string; isProven: boolean; heldBytes: number }) {
    this.#port = port;
    this.caller = caller;
    port.unread.watch({
      response: this.#stream as unknown as EdgeResponse,
      caller: () => ({ name: caller, isProven }),
      heldBytes: () => heldBytes,
      giveUp: (limit) => {
        this.gaveUp = limit;
        this.#stream.destroy();
      },
    });
    // The first chunk goes to the other side at once.
    this.#stream.write("-");
    this.#stream.write("-");
  }

  /** A second later. */
  write(bytes: number): this {
    this.#port.nowMs += 1_000;
    this.#stream.write(Buffer.alloc(bytes));
    return this;
  }

  /** Its reader takes something, a second later. */
  take(): void {
    this.#port.nowMs += 1_000;
    this.#stream.emit("drain");
  }

  get bytes(): number {
    return this.#stream.destroyed ? 0 : this.#stream.writableLength;
  }
}

const gaveUp = (...answers: readonly Answer[]): (string | undefined)[] => answers.map((answer) => answer.gaveUp);

describe(`answers that wait for their readers ${verifies("E8", "F4")}`, () => {
  it("are given up in the order in which nothing was taken of them, and not the one that is read", () => {
    const port = new Port();
    const [read, old, older] = [port.open("a").write(400), port.open("a").write(200), port.open("a").write(300)];
    old.take();
    read.take();
    expect(gaveUp(read, old, older)).toEqual([undefined, undefined, undefined]);
    read.write(200);
    expect(gaveUp(read, old, older)).toEqual([undefined, undefined, overCaller]);
    read.write(300);
    expect(gaveUp(read, old)).toEqual([undefined, overCaller]);
  });

  it("are given up until the sum fits, also when the oldest hold little", () => {
    const port = new Port();
    const little = Array.from({ length: 40 }, () => port.open("a").write(10));
    const large = port.open("a").write(900);
    expect(little.filter((answer) => answer.gaveUp !== undefined).length).toBeGreaterThan(29);
    expect(large.gaveUp).toBeUndefined();
    expect(port.unread.bytes).toBeLessThanOrEqual(1_000);
  });

  it("end with the only one when it is too large alone", () => {
    expect(new Port().open("a").write(1_001).gaveUp).toBe(overCaller);
  });

  it("count for an address before their caller is proven, with what is held beside them", () => {
    const port = new Port();
    const one = port.open("192.0.2.1", { isProven: false, heldBytes: 100 }).write(150);
    const two = port.open("192.0.2.1", { isProven: false, heldBytes: 100 });
    expect(gaveUp(one, two)).toEqual(["300 unread bytes of a caller", undefined]);
  });

  it("of all callers together are a sum as well, and the largest caller pays", () => {
    const port = new Port();
    const [small, large] = [port.open("a").write(300), port.open("b").write(950)];
    const last = port.open("c").write(900);
    expect(gaveUp(small, large, last)).toEqual([undefined, "2000 unread bytes of all callers", undefined]);
  });

  it("never hold more than the bounds, whatever is written and taken", () => {
    const step = fc.record({
      caller: fc.constantFrom("a", "b", "c"),
      at: fc.nat(5),
      bytes: fc.integer({ min: 1, max: 1_200 }),
      isTaken: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const port = new Port();
        const open = new Map<string, Answer>();
        const held = (name: string): number =>
          port.answers.reduce((sum, { caller, bytes }) => sum + (caller === name ? bytes : 0), 0);
        for (const { caller, at, bytes, isTaken } of steps) {
          let answer = open.get(`${caller}${at}`);
          if (answer === undefined || answer.gaveUp !== undefined) answer = port.open(caller);
          open.set(`${caller}${at}`, answer);
          if (isTaken) answer.take();
          answer.write(bytes);
          for (const name of ["a", "b", "c"]) expect(held(name)).toBeLessThanOrEqual(1_000);
          expect(held("a") + held("b") + held("c")).toBeLessThanOrEqual(2_000);
        }
      }),
    );
  });
});
