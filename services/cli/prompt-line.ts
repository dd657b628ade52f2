/**
 * One line from a person at a terminal.
 *
 * The line editor holds the terminal in raw mode, where Ctrl-C is a key and no signal. It lives only while a line is
 * wanted: whatever runs between two lines gets Ctrl-C as everywhere else, as SIGINT.
 */
import { createInterface } from "node:readline/promises";

/** Lines that were said before, newest first; the arrow keys bring them back. */
export type LineHistory = string[];

/** Asks on standard error. Resolves to undefined on Ctrl-C, Ctrl-D or the end of the input. */
export async function promptLine(prompt: string, history: LineHistory): Promise<string | undefined> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr, history: [...history] });
  const left = Promise.withResolvers<undefined>();
  const leave = (): void => terminal.close();
  terminal.once("close", () => left.resolve(undefined));
  terminal.once("SIGINT", leave);
  // Where standard error is no terminal there is no raw mode either.
  process.once("SIGINT", leave);
  terminal.on("history", (lines) => history.splice(0, history.length, ...lines));
  try {
    return await Promise.race([terminal.question(prompt), left.promise]);
  } finally {
    process.off("SIGINT", leave);
    terminal.close();
  }
}
