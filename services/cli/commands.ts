/** The commands, and what `help` says about them. */

import { readVersion } from "../kernel/package-files.ts";
import type { Command } from "./command.ts";
import { commonFlags, describeFlag } from "./flags.ts";

/** Loaded when they are run, so that `atoll chat` does not wait for what only `atoll up` needs. */
export const commands: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["up", async () => (await import("./commands/up.ts")).up],
  ["serve", async () => (await import("./commands/up.ts")).serve],
  ["chat", async () => (await import("./commands/chat.ts")).chat],
  ["tail", async () => (await import("./commands/tail.ts")).tail],
  ["sessions", async () => (await import("./commands/sessions.ts")).sessions],
  ["export", async () => (await import("./commands/export.ts")).exportSession],
  ["tools", async () => (await import("./commands/tools.ts")).tools],
  ["token", async () => (await import("./commands/token.ts")).token],
  ["doctor", async () => (await import("./commands/doctor.ts")).doctor],
]);

export async function describeAll(): Promise<string[]> {
  const lines = [...commands].map(async ([name, load]) => `  ${name.padEnd(10)}${(await load()).summary}`);
  return [
    `atoll ${readVersion()}`,
    "",
    "usage: atoll COMMAND",
    "",
    ...(await Promise.all(lines)),
    "",
    "atoll help COMMAND tells more. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 left with Ctrl-C.",
  ];
}

export function describeOne(name: string, command: Command): string[] {
  const flags = [...new Set([...command.flags, ...commonFlags])];
  return [
    `usage: atoll ${name} ${command.usage}`.trimEnd(),
    "",
    command.summary,
    ...(command.details ?? []),
    "",
    ...flags.map((flag) => `  ${describeFlag(flag)}`),
  ];
}
