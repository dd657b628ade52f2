/**
 * Marked's tokenizer as people expect it, and within a budget.
 *
 * Emphasis beside Chinese, Japanese and Korean text works without spaces, where CommonMark's rule of flanking delimiters
 * leaves the marks standing (commonmark-spec issue 650). Only two tildes strike through. A link without brackets ends before
 * CJK punctuation. Keeps L7 and E12: how deep lists and quotes nest, and how much a block may cost, is bounded.
 */
import { Tokenizer, type Tokens, type TokensList } from "marked";

/** Deeper lists and quotes are text: nesting costs stack. */
const maxDepth = 12;
/** Characters that the lists and quotes inside one outer one may be read from, all levels together; the rest is text. */
const maxNestedCharacters = 300_000;
/** What the search for the other ends of marks may cost in a block: about 50 ms. One for each mark that is looked at. */
const maxLookedAt = 100_000;
/** How far a mark's other end may be, in characters. */
const longestSpan = 2_000;
/** The longest name of a mail address before its @ (RFC 5321). */
const address = /^(?:https?:\/\/|ftp:\/\/|www\.|[A-Za-z0-9._+-]{1,64}@)/i;

const cjk = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef‘’“”…—·]/u;
const cjkPunctuation = /[\u3000-\u3004\u3008-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65‘’“”…]/u;
/** CJK letters that follow a letter or digit of the address directly are the sentence going on. */
const cjkAfterWord = /(?<=[A-Za-z0-9])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/** The block costs more than it may. */
class BudgetSpent extends Error {
  override readonly name = "BudgetSpent";
}

export class BoundedTokenizer extends Tokenizer<never, never> {
  #depth = 0;
  #nestedCharacters = 0;
  #lookedAt = 0;

  override blockquote(src: string): Tokens.Blockquote | undefined {
    return /^ {0,3}>/.test(src) ? this.#nested(src, () => super.blockquote(src)) : undefined;
  }

  override list(src: string): Tokens.List | undefined {
    return /^ {0,3}(?:[-*+]|\d{1,9}[.)])/.test(src) ? this.#nested(src, () => super.list(src)) : undefined;
  }

  override emStrong(src: string, maskedSrc: string, prevChar = ""): Tokens.Em | Tokens.Strong | undefined {
    if (!/^[*_]/.test(src)) return undefined;
    const near = this.#lookNear(src, /[*_]/g);
    const masked = maskedSrc.slice(0, maskedSrc.length - src.length + near.length);
    return super.emStrong(near, masked, prevChar) ?? this.#emphasisBesideCjk(near, masked, prevChar);
  }

  override del(src: string, maskedSrc: string, prevChar = ""): Tokens.Del | undefined {
    if (!src.startsWith("~~")) return undefined;
    const near = this.#lookNear(src, /~/g);
    return super.del(near, maskedSrc.slice(0, maskedSrc.length - src.length + near.length), prevChar);
  }

  override link(src: string): Tokens.Link | Tokens.Image | undefined {
    return /^!?\[/.test(src) ? super.link(this.#lookNear(src, /[[\]()]/g)) : undefined;
  }

  override reflink(src: string, links: TokensList["links"]) {
    return /^!?\[/.test(src) ? super.reflink(this.#lookNear(src, /[[\]()]/g), links) : undefined;
  }

  override codespan(src: string): Tokens.Codespan | undefined {
    return src.startsWith("`") ? super.codespan(this.#lookNear(src, /`/g)) : undefined;
  }

  override tag(src: string): Tokens.Tag | undefined {
    return src.startsWith("<") ? super.tag(this.#lookNear(src, /[<>]/g)) : undefined;
  }

  override autolink(src: string): Tokens.Link | undefined {
    return src.startsWith("<") ? super.autolink(this.#lookNear(src, /[<>]/g)) : undefined;
  }

  override url(src: string): Tokens.Link | undefined {
    if (!address.test(src)) return undefined;
    const found = super.url(this.#lookNear(src, /[.@]/g));
    if (found === undefined) return undefined;
    const end = Math.min(...[cjkPunctuation, cjkAfterWord].map((stop) => indexOf(found.raw, stop)));
    if (end === found.raw.length) return found;
    // Cut where the sentence goes on, and judged again: what is left may be no link.
    return end === 0 ? undefined : super.url(found.raw.slice(0, end));
  }

  /** In parts: what comes next is looked for behind each character. */
  override inlineText(src: string): Tokens.Text | undefined {
    return super.inlineText(src.slice(0, longestSpan));
  }

  #emphasisBesideCjk(src: string, maskedSrc: string, prevChar: string): Tokens.Em | Tokens.Strong | undefined {
    const marks = /^\*{1,2}(?!\*)/.exec(src)?.[0];
    if (marks === undefined || prevChar === "*") return undefined;
    const masked = maskedSrc.slice(-src.length);
    const closer = new RegExp(`(?<![\\s*])\\*{${marks.length}}(?!\\*)`, "g");
    closer.lastIndex = marks.length + 1;
    const end = closer.exec(masked)?.index;
    if (end === undefined || /^\s/.test(src.slice(marks.length))) return undefined;
    const text = src.slice(marks.length, end);
    const around = [prevChar, text.slice(0, 1), text.slice(-1), src.slice(end + marks.length, end + marks.length + 1)];
    if (!around.some((character) => cjk.test(character))) return undefined;
    const raw = src.slice(0, end + marks.length);
    const tokens = this.lexer.inlineTokens(text);
    return marks.length === 2 ? { type: "strong", raw, text, tokens } : { type: "em", raw, text, tokens };
  }

  #nested<Token>(src: string, read: () => Token | undefined): Token | undefined {
    if (this.#depth === 0) this.#nestedCharacters = 0;
    else this.#nestedCharacters += src.length;
    if (this.#depth >= maxDepth || this.#nestedCharacters > maxNestedCharacters) return undefined;
    this.#depth += 1;
    try {
      return read();
    } finally {
      this.#depth -= 1;
    }
  }

  /** The part of the text in which the other end of its first mark may stand. */
  #lookNear(src: string, marks: RegExp): string {
    const near = src.slice(0, longestSpan);
    this.#lookedAt += 1 + (near.match(marks)?.length ?? 0);
    if (this.#lookedAt > maxLookedAt) throw new BudgetSpent("the block costs too much");
    return near;
  }
}

function indexOf(text: string, pattern: RegExp): number {
  const found = text.search(pattern);
  return found === -1 ? text.length : found;
}
