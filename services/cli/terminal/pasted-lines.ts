/**
 * Makes one message of several lines that are pasted at a prompt.
 *
 * A line editor ends its line at each line break. Here a line break that is part of a paste becomes a mark that the editor
 * shows and edits like any character, and that is a line break again when the message is read. A paste is what the terminal
 * says is one (bracketed paste, DECSET 2004); from a terminal that does not say so, it is what came with one read.
 */
import { StringDecoder } from "node:string_decoder";

const pasteStart = "\u001b[200~";
const pasteEnd = "\u001b[201~";

/** Shown for a line break; the first that the first paste of a conversation itself does not have. */
const marks = ["⏎", "↵", "␤"];

export class PastedLines {
  #decoder = new StringDecoder("utf8");
  #isPasting = false;
  /** The beginning of a bracket whose rest has not come yet. */
  #partial = "";
  #mark = "";

  /** A new prompt: what came for another one is forgotten, but the mark stays, because earlier lines have it. */
  begin(): void {
    this.#decoder = new StringDecoder("utf8");
    this.#isPasting = false;
    this.#partial = "";
  }

  /** What the line editor is to be given for bytes that were read. */
  take(bytes: Buffer): string {
    const text = this.#partial + this.#decoder.write(bytes);
    this.#partial = "";
    const mayBegin = text.includes(pasteStart) || this.#partialLength(text, pasteStart) > 0;
    if (!this.#isPasting && !mayBegin) return this.#takeTyped(text);
    return this.#takeBrackets(text);
  }

  /** The message that a line of the editor stands for. */
  messageOf(line: string): string {
    return this.#mark === "" ? line : line.replaceAll(this.#mark, "\n");
  }

  #takeTyped(text: string): string {
    // Only the last line break of a read can be a key that was pressed.
    const [, inner = "", end = ""] = /^(.*?)((?:\r\n|\r|\n)?)$/s.exec(text) ?? [];
    // Ctrl-C, Ctrl-D, arrows and such are keys, however much came with them.
    return isText(inner) && /[\r\n]/.test(inner) ? `${this.#markBreaks(inner)}${end}` : text;
  }

  #takeBrackets(text: string): string {
    let given = "";
    let rest = text;
    while (rest !== "") {
      const bracket = this.#isPasting ? pasteEnd : pasteStart;
      const at = rest.indexOf(bracket);
      const part = at < 0 ? this.#withoutPartial(rest, bracket) : rest.slice(0, at);
      given += this.#isPasting ? this.#markBreaks(part) : part;
      if (at < 0) break;
      this.#isPasting = !this.#isPasting;
      rest = rest.slice(at + bracket.length);
    }
    return given;
  }

  #withoutPartial(text: string, bracket: string): string {
    const length = this.#partialLength(text, bracket);
    this.#partial = text.slice(text.length - length);
    return text.slice(0, text.length - length);
  }

  /** How many characters at the end of the text may be the beginning of the bracket. Escape alone is a key. */
  #partialLength(text: string, bracket: string): number {
    const shortest = this.#isPasting ? 1 : "\u001b[2".length;
    for (let length = Math.min(bracket.length - 1, text.length); length >= shortest; length -= 1) {
      if (text.endsWith(bracket.slice(0, length))) return length;
    }
    return 0;
  }

  /** What is pasted is text: no character of it is a key to the editor. */
  #markBreaks(text: string): string {
    const broken = text.replace(/\r\n?/g, "\n");
    if (this.#mark === "" && broken.includes("\n")) {
      this.#mark = marks.find((mark) => !broken.includes(mark)) ?? "⏎";
    }
    return broken.replaceAll("\n", this.#mark).replaceAll("\t", "    ").replace(controls, "");
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these would be keys to the line editor
const controls = /[\u0000-\u001f\u007f-\u009f]/g;

function isText(text: string): boolean {
  return text.replace(/[\r\n\t]/g, "").search(controls) < 0;
}
