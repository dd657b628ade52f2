import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const fixture = fileURLToPath(new URL("signals.fixture.ts", import.meta.url));

async function start(...args: string[]) {
  const child: ChildProcessByStdio<null, null, Readable> = spawn(process.execPath, [fixture, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exit = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const lines = createInterface(child.stderr)[Symbol.asyncIterator]();
  const waitFor = async (text: string): Promise<void> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`ended before it said ${text}`);
      if (value.includes(text)) return;
    }
  };
  await waitFor("ready");
  return { child, exit, waitFor };
}

describe("onSignals", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("drains and ends with 0 on the first %s", async (signal) => {
    const { child, exit } = await start();
    child.kill(signal);
    expect(await exit).toEqual([0, null]);
  });

  it("closes at once on the second signal and says with 1 that the drain was cut short", async () => {
    const { child, exit, waitFor } = await start("never");
    child.kill("SIGTERM");
    await waitFor("draining");
    child.kill("SIGINT");
    expect(await exit).toEqual([1, null]);
  });

  it("ends the process on the third signal, even when closing hangs", async () => {
    const { child, exit, waitFor } = await start("never", "never");
    child.kill("SIGINT");
    await waitFor("draining");
    child.kill("SIGINT");
    await waitFor("closing at once");
    child.kill("SIGINT");
    expect(await exit).toEqual([130, null]);
  });
});
