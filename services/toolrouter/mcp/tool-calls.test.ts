/** The silence and the end of a call, on a clock that the test moves; the servers are real programs and sockets. */
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { manualClock } from "../../kernel/manual-clock.fixture.ts";
import { type Connected, connectHttp, connectProgram } from "./connection.fixture.ts";
import type { McpCallEnd } from "./mcp-connection.ts";

const limits = { silenceTimeoutMs: 60_000, maxDurationMs: 900_000 };
const silent = { kind: "timed-out", problem: "gave no sign of life for 60000 ms" };
const tooLate = { kind: "timed-out", problem: "did not answer within 900000 ms" };
const changed = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';

/** Waits until the server has said all that it says of a call once more: each time ends with `changed`. */
async function hear({ changes }: Connected): Promise<void> {
  const before = changes();
  await expect.poll(changes).toBeGreaterThan(before + 1);
}

/** How the call ended, or that it has not, after everything that was due has run. */
async function endOf(call: Promise<McpCallEnd>): Promise<McpCallEnd | "running"> {
  const soon = new Promise<"running">((resolve) => void setTimeout(resolve, 50, "running"));
  return await Promise.race([call, soon]);
}

describe(`the time of a call ${verifies("FA10", "L7")}`, () => {
  it("is over after 60 s of silence, and the server is told", async () => {
    const clock = manualClock();
    const { call, requests } = await connectProgram({ "tools/call": [[{ hang: true }]] }, clock);
    const end = call(limits);
    await expect.poll(() => requests().some(({ method }) => method === "tools/call")).toBe(true);
    clock.advance(59_999);
    expect(await endOf(end)).toBe("running");
    clock.advance(1);
    expect(await end).toEqual(silent);
    const told = { method: "notifications/cancelled", params: { reason: "timed out" } };
    await expect.poll(() => requests().at(-1)).toMatchObject(told);
  });

  it.each([
    ["progress", '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":1}}'],
    [
      "a message of its log",
      '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"on"}}',
    ],
  ])("begins anew with %s, and is over after 15 min in all", { timeout: 60_000 }, async (what, sign) => {
    const clock = manualClock();
    const flood = [{ flood: `${sign}\n${changed}\n`, perSecond: 20 }];
    const connected = await connectProgram({ "tools/call": [flood] }, clock);
    let reports = 0;
    const end = connected.call({ ...limits, onProgress: () => reports++ });
    for (let passedMs = 0; passedMs < 885_000; passedMs += 59_000) {
      await hear(connected);
      expect(await endOf(end)).toBe("running");
      clock.advance(59_000);
    }
    await hear(connected);
    expect(reports > 0).toBe(what === "progress");
    clock.advance(900_000 - 885_000);
    expect(await end).toEqual(tooLate);
  });

  it("begins anew with any byte of its own response over HTTP, and with nobody else's", async () => {
    const clock = manualClock();
    const connected = await connectHttp(
      {
        "tools/call busy": [[{ stream: true }, { flood: `: still here\n\ndata: ${changed}\n\n`, perSecond: 20 }]],
        "tools/call quiet": [[{ stream: true }, { hang: true }]],
      },
      clock,
    );
    const quiet = connected.call({ ...limits, name: "quiet" });
    const busy = connected.call({ ...limits, name: "busy" });
    await hear(connected);
    clock.advance(40_000);
    await hear(connected);
    clock.advance(40_000);
    expect(await quiet).toEqual(silent);
    expect(await endOf(busy)).toBe("running");
    await hear(connected);
    clock.advance(59_000);
    expect(await endOf(busy)).toBe("running");
  });

  it("is what its caller named, in silence and in all", async () => {
    const clock = manualClock();
    const { call } = await connectProgram({ "tools/call": [[{ hang: true }]] }, clock);
    const end = call({ silenceTimeoutMs: 300_000, maxDurationMs: 300_000 });
    clock.advance(299_999);
    expect(await endOf(end)).toBe("running");
    clock.advance(1);
    expect(await end).toEqual({ kind: "timed-out", problem: "did not answer within 300000 ms" });
  });

  it("does not hold up a cancel, and an answer that comes later is thrown away", async () => {
    const cancel = new AbortController();
    const { call, requests } = await connectProgram({
      "tools/call work": [[{ delayMs: 300 }, { usual: true }]],
      "tools/call next": [[{ delayMs: 600 }, { result: { content: [{ type: "text", text: "next" }] } }]],
    });
    const end = call({ signal: cancel.signal });
    await expect.poll(() => requests().some(({ method }) => method === "tools/call")).toBe(true);
    cancel.abort();
    expect(await end).toEqual({ kind: "cancelled" });
    expect(await call({ name: "next" })).toMatchObject({ kind: "answered", answer: { content: [{ text: "next" }] } });
  });
});
