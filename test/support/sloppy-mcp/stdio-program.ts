/** `stdio-program.ts FOLDER`: the sloppy server as a program; see script.ts. FOLDER holds script.json and takes the history. */
import { spawn } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { type Output, playSteps } from "./play-steps.ts";
import { type Script, ScriptReader, type SloppyRequest } from "./script.ts";

const folder = process.argv[2] ?? ".";
const script = new ScriptReader(JSON.parse(readFileSync(path.join(folder, "script.json"), "utf8")) as Script);

function remember(method: string, id?: unknown, params?: unknown): void {
  const request: SloppyRequest = { method, id, params, headers: {}, pid: process.pid };
  appendFileSync(path.join(folder, "history"), `${JSON.stringify(request)}\n`);
}

let isCut = false;
const output: Output = {
  async write(part) {
    if (isCut || process.stdout.write(part)) return;
    await new Promise<void>((resolve) => void process.stdout.once("drain", resolve));
  },
  writeMessage: (json) => output.write(`${json}\n`),
  get isOver() {
    return isCut;
  },
  stopReading: () => void process.stdin.pause(),
  cut() {
    isCut = true;
    process.stdout.destroy();
  },
  play(step) {
    if ("stderr" in step) process.stderr.write(step.stderr);
    else if ("exit" in step) process.exit(step.exit);
    else if ("ignore" in step) {
      for (const signal of step.ignore) process.on(signal, () => undefined);
      setInterval(() => undefined, 60_000);
    } else if ("grandchild" in step) {
      const traps = step.grandchild.map((signal) => `trap '' ${signal.slice("SIG".length)};`).join(" ");
      spawn("sh", ["-c", `${traps} echo $$ >&2; while :; do sleep 600; done`], {
        stdio: ["ignore", "ignore", "inherit"],
      });
    } else throw new Error(`a program can't play ${JSON.stringify(step)}`);
  },
};
// A reader that went away is what tests are about.
process.stdout.on("error", () => undefined);

interface Incoming {
  readonly method?: string;
  readonly id?: unknown;
  readonly params?: { readonly name?: string; readonly _meta?: { readonly progressToken?: unknown } };
}

await playSteps(script.answerTo("start"), { method: "start", id: null, progressToken: null }, output);
const lines = createInterface(process.stdin);
lines.on("line", (line) => {
  const { method = "response", id, params } = JSON.parse(line) as Incoming;
  remember(method, id, params);
  if (method === "response") return;
  const asked = { method, id, progressToken: params?._meta?.progressToken };
  void playSteps(script.answerTo(method, params?.name), asked, output);
});
lines.on("close", () => remember("end"));
