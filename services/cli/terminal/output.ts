/**
 * The only door to standard output and standard error.
 *
 * Keeps: whatever is written is text. Hidden characters are shown as `\uXXXX` (kernel/visible-text.ts), so that nothing a
 * person, a model or a tool said moves the cursor, turns the reading direction or begins a line: a line break inside a
 * `line` is shown as a line that is indented. Escape sequences are ours alone, and only for a terminal that wants them.
 */
import { once } from "node:events";
import type { Writable } from "node:stream";
import { visibleLines, visibleText } from "../../kernel/visible-text.ts";
import type { FailureFacts, Output, TextStyle } from "../command.ts";

export interface OutputOptions {
  readonly out: Writable & { readonly isTTY?: boolean };
  readonly err: Writable & { readonly isTTY?: boolean };
  /** Everything is JSON, one object a line. */
  readonly isJson: boolean;
  /** No escape sequences, also on a terminal. */
  readonly isPlain: boolean;
}

const continuation = "\n    ";

export function createOutput({ out, err, isJson, isPlain }: OutputOptions): Output {
  const results = openWriter(out, isPlain);
  const notes = openWriter(err, isPlain);
  const note = (text: string, style?: TextStyle): void => {
    results.endLine();
    notes.line(isJson ? JSON.stringify({ note: text }) : text, style);
  };
  return {
    line(text = "", style) {
      notes.endLine();
      results.line(text, style);
    },
    text(text) {
      notes.endLine();
      results.text(text);
    },
    json(text) {
      notes.endLine();
      results.raw(`${visibleText(text)}\n`);
    },
    async pipe(chunks) {
      notes.endLine();
      for await (const chunk of chunks) {
        // Keeps L7: what is read goes no faster than what is written.
        if (!results.raw(visibleLines(chunk))) await once(out, "drain");
      }
    },
    note,
    aside(text) {
      if (isJson) return;
      results.endLine();
      notes.text(text, "dim");
    },
    failure(facts) {
      results.endLine();
      if (isJson) {
        const { isOwnWords: _, ...error } = facts;
        notes.line(JSON.stringify({ error }));
      } else notes.line(`atoll: ${describeFacts(facts)}`);
    },
    endLine() {
      results.endLine();
      notes.endLine();
    },
    isTerminal: out.isTTY === true,
  };
}

function describeFacts({ code, reason, message, fields = [], isOwnWords }: FailureFacts): string {
  const name = isOwnWords ? "" : ` (${reason === undefined ? code : `${code}, ${reason}`})`;
  return [`${message}${name}`, ...fields.map(({ path, problem }) => `${path}: ${problem}`)].join("\n");
}

function openWriter(stream: Writable & { readonly isTTY?: boolean }, isPlain: boolean) {
  const hasStyles = stream.isTTY === true && !isPlain;
  /** The last characters of a line that is not at its end; empty at the beginning of a line. */
  let open = "";
  const styled = (text: string, style: TextStyle | undefined): string =>
    hasStyles && style === "dim" && text !== "" ? `\u001b[2m${text}\u001b[22m` : text;
  const endLine = (): void => {
    if (open !== "") stream.write("\n");
    open = "";
  };
  return {
    endLine,
    line(text: string, style?: TextStyle) {
      endLine();
      const shown = visibleLines(text).replace(/\n+$/, "").replaceAll("\n", continuation);
      stream.write(`${styled(shown, style)}\n`);
    },
    text(text: string, style?: TextStyle) {
      if (text === "") return;
      stream.write(styled(visibleLines(text, open), style));
      open = text.endsWith("\n") ? "" : `${open}${text}`.slice(-4);
    },
    raw(text: string): boolean {
      endLine();
      return stream.write(text);
    },
  };
}
