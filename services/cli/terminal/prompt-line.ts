/**
 * One message from a person at a terminal.
 *
 * The line editor holds the terminal in raw mode, where Ctrl-C is a key and no signal. It lives only while a message is
 * wanted: whatever runs between two of them gets Ctrl-C as everywhere else, as SIGINT. This file and output.ts are the
 * ones that write to the terminal; what is written here is what the person types.
 */
import { createInterface } from "node:readline/promises";
import { PassThrough } from "node:stream";
import { readClientEnvironment } from "../../kernel/config/client-environment.ts";
import { PastedLines } from "./pasted-lines.ts";

/** What the prompts of one conversation share. */
export interface PromptMemory {
  /** Lines that were said before, newest first; the arrow keys bring them back. */
  readonly history: string[];
  readonly pasted: PastedLines;
}

export function createPromptMemory(): PromptMemory {
  return { history: [], pasted: new PastedLines() };
}

const bracketedPasteOn = "\u001b[?2004h";
const bracketedPasteOff = "\u001b[?2004l";

/** Asks on standard error. Resolves to undefined on Ctrl-C, Ctrl-D or the end of the input. */
export async function promptLine(prompt: string, { history, pasted }: PromptMemory): Promise<string | undefined> {
  const { stdin, stderr } = process;
  pasted.begin();
  // Where standard error is no terminal there is no raw mode either, and the terminal itself edits the line.
  const isEditor = stderr.isTTY && stdin.isTTY;
  const asksForBrackets = isEditor && !readClientEnvironment().isDumb;
  const keys = Object.assign(new PassThrough(), {
    isTTY: isEditor,
    setRawMode: (isRaw: boolean) => void (stdin.isTTY && stdin.setRawMode(isRaw)),
  });
  const read = (bytes: Buffer): void => void keys.write(pasted.take(bytes));
  const end = (): void => void keys.end();
  const terminal = createInterface({ input: keys, output: stderr, terminal: isEditor, history: [...history] });
  const left = Promise.withResolvers<undefined>();
  const leave = (): void => terminal.close();
  terminal.once("close", () => left.resolve(undefined));
  terminal.once("SIGINT", leave);
  process.once("SIGINT", leave);
  terminal.on("history", (lines) => history.splice(0, history.length, ...lines));
  if (asksForBrackets) stderr.write(bracketedPasteOn);
  stdin.on("data", read).once("end", end).resume();
  try {
    const line = await Promise.race([terminal.question(prompt), left.promise]);
    return line === undefined ? undefined : pasted.messageOf(line);
  } finally {
    stdin.off("data", read).off("end", end).pause();
    if (asksForBrackets) stderr.write(bracketedPasteOff);
    process.off("SIGINT", leave);
    terminal.close();
  }
}
