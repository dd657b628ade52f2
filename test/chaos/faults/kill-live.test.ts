import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { isAlive, killLive } from "./kill-live.ts";

it("names the processes that it ended, and none that had ended before", async () => {
  const start = (name: string, code: string) => ({ name, process: { child: spawn(process.execPath, ["-e", code]) } });
  const gone = start("gone", "");
  await once(gone.process.child, "exit");
  const live = start("live", "setInterval(() => {}, 1000)");
  await once(live.process.child, "spawn");
  const exit = once(live.process.child, "exit");
  expect(killLive([gone, live]).map(({ name }) => name)).toEqual(["live"]);
  expect(await exit).toEqual([null, "SIGKILL"]);
  expect(isAlive(live.process)).toBe(false);
  expect(killLive([gone, live])).toEqual([]);
});
