/** A command of the command line in a real terminal, with somebody who types. */
import { spawn } from "node:child_process";
import { atollProgram, nodeFlags } from "../support/mesh-process.ts";
import { eventually } from "./mesh-client.fixture.ts";

export const ctrlC = "\u0003";
export const ctrlD = "\u0004";

export interface Terminal {
  type(keys: string): void;
  /** Resolves when what was shown since the last one that resolved contains `words`. */
  until(words: string): Promise<void>;
  /**
   * Resolves when no line editor holds the terminal any more, so that Ctrl-C is a signal and no key: the terminal itself
   * echoes what is typed. Ctrl-C takes that away again.
   */
  untilReleased(): Promise<void>;
  /** Everything that was shown so far, escape sequences and all. */
  shown(): string;
  /** The exit code; a signal counts as 128 and its number. */
  readonly ended: Promise<number>;
  /** Ends the command, if it has not ended by itself. */
  close(): void;
}

/** Runs the command in a folder; `script` of util-linux makes the terminal. */
export function openTerminal(
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Terminal {
  const words = [process.execPath, ...nodeFlags, atollProgram, ...args].map((word) => `'${word}'`);
  // Colours are the test's own business.
  const { NO_COLOR: _none, FORCE_COLOR: _forced, ...inherited } = process.env;
  const child = spawn("script", ["-qec", `exec ${words.join(" ")}`, "/dev/null"], {
    cwd: folder,
    env: { ...inherited, SHELL: "/bin/sh", TERM: "xterm", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let readTo = 0;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    shown += chunk;
  });
  const ended = new Promise<number>((settle, fail) => {
    child.once("error", fail);
    child.once("close", (code) => settle(code ?? -1));
  });
  return {
    type: (keys) => void child.stdin.write(keys),
    until: (words) =>
      eventually(`"${words}" on the terminal, after ${JSON.stringify(shown.slice(readTo))}`, () => {
        const at = shown.indexOf(words, readTo);
        if (at < 0) return undefined;
        readTo = at + words.length;
        return true;
      }).then(() => {}),
    untilReleased: () =>
      eventually("the terminal echoes by itself", () => {
        child.stdin.write(".");
        return shown.indexOf(".", readTo) < 0 ? undefined : true;
      }).then(() => {}),
    shown: () => shown,
    ended,
    close: () => void child.kill(),
  };
}
