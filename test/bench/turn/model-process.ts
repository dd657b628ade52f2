/** The fake Anthropic API in a process of its own, on the load's core. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { endWithBench } from "../end-in-time.ts";
import { pinProcess } from "../pin-cores.ts";

export interface ModelProcess {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

export interface ModelProcessOptions {
  /** Tokens of every answer. */
  readonly tokens: number;
  /** Milliseconds between two tokens; 0 sends the answer in one piece. */
  readonly tokenDelayMs: number;
}

const main = resolve(import.meta.dirname, "../../support/fake-anthropic/main.ts");

export async function startModelProcess({ tokens, tokenDelayMs }: ModelProcessOptions): Promise<ModelProcess> {
  const args = [main, "--tokens", String(tokens), "--delay", String(tokenDelayMs)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  endWithBench(child);
  const ended = new Promise<void>((settle) => child.once("exit", () => settle()));
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((settle, reject) => {
    lines.once("line", settle);
    void ended.then(() => reject(new Error("the fake model ended before it was up")));
  });
  pinProcess(child.pid ?? 0, "load");
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
