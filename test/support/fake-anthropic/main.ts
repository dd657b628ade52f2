/**
 * The fake API as a process of its own, for benches and fault runs:
 * `npx node test/support/fake-anthropic/main.ts [--port 0] [--tokens 200] [--delay 0] [--history file]`.
 * Its first line on stdout is its address. SIGTERM and SIGINT end it.
 */
import { parseArgs } from "node:util";
import { startFakeAnthropic } from "./start-fake-anthropic.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    tokens: { type: "string", default: "200" },
    delay: { type: "string", default: "0" },
    history: { type: "string" },
  },
});

const fake = await startFakeAnthropic({
  port: wholeNumber("port", values.port),
  tokens: wholeNumber("tokens", values.tokens),
  tokenDelayMs: wholeNumber("delay", values.delay),
  ...(values.history === undefined ? {} : { historyFile: values.history }),
});
process.stdout.write(`${fake.url}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void fake.close());

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new RangeError(`--${name} must be a whole number, not ${text}`);
  return value;
}
