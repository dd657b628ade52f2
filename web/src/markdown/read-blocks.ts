/**
 * Text as blocks of Markdown, and a block as what it says.
 *
 * An answer grows while it is shown: only its last block is told apart anew, and only what changed is read in full. What is
 * not closed yet runs to the end. Keeps E12: a block that costs too much is plain text, and so is what is too long.
 */
import { Lexer, type Token, type TokensList } from "marked";
import { BoundedTokenizer } from "./bounded-tokenizer.ts";

/** What `[label]: address` in the text defines, by label. */
export type Links = TokensList["links"];

export interface MarkdownBlock {
  readonly raw: string;
  /** Whether it is to be shown as it was written. */
  readonly isPlain: boolean;
}

export interface SplitText {
  readonly text: string;
  readonly blocks: readonly MarkdownBlock[];
  readonly links: Links;
  /** How many of the blocks stay as they are, whatever follows. */
  readonly settled: number;
  /** Where the first block begins that is told apart anew. */
  readonly settledTo: number;
}

/** The longest text and the longest block that are read; what is longer is plain. */
const longestText = 500_000;
const longestBlock = 200_000;

/** @param before What an earlier part of the same text was split into: its settled blocks are taken as they are. */
export function splitText(source: string, before?: SplitText): SplitText {
  const text = source.includes("\r") ? source.replace(/\r\n?/g, "\n") : source;
  const grows = before !== undefined && before.settled > 0 && text.startsWith(before.text);
  const from = grows ? before.settledTo : 0;
  const kept = grows ? before.blocks.slice(0, before.settled) : [];
  const part = text.slice(from, longestText);
  const lexer = newLexer();
  if (grows) Object.assign(lexer.tokens.links, before.links);
  let blocks: MarkdownBlock[];
  let settled = { settled: 0, settledTo: 0 };
  try {
    const tokens = lexer.blockTokens(part, lexer.tokens);
    const starts: number[] = [];
    let at = from;
    for (const { type, raw } of tokens) {
      if (type !== "space") starts.push(at);
      at += raw.length;
    }
    blocks = tokens
      .filter(({ type }) => type !== "space")
      .map(({ raw }) => ({ raw, isPlain: raw.length > longestBlock }));
    // Marked tells its tokens' sources as it read them: where they are not the text's own, it is split anew each time.
    if (at === from + part.length && text.length <= longestText) settled = settle(text, starts, kept.length);
  } catch {
    blocks = [{ raw: part, isPlain: true }];
  }
  if (text.length > longestText) blocks.push({ raw: text.slice(longestText), isPlain: true });
  return { text, blocks: [...kept, ...blocks], links: lexer.tokens.links, ...settled };
}

/**
 * Whatever follows may change the last block. A block whose first two lines are not whole yet may even turn out to belong to
 * the one before: `---` is a rule, `---w` goes on with a quotation; `a` and `|-` are a table, `a` and `|- w` are words.
 */
function settle(text: string, starts: readonly number[], kept: number): { settled: number; settledTo: number } {
  const secondLastBreak = text.lastIndexOf("\n", text.lastIndexOf("\n") - 1);
  const unsure = starts.findIndex((start) => start > secondLastBreak);
  const open = Math.max(0, (unsure < 0 ? starts.length : unsure) - 1);
  return { settled: kept + open, settledTo: starts[open] ?? 0 };
}

/** Undefined when the block costs too much. */
export function readBlock(raw: string, links: Links): readonly Token[] | undefined {
  const lexer = newLexer();
  lexer.tokens.links = links;
  try {
    return lexer.lex(raw);
  } catch {
    return undefined;
  }
}

function newLexer(): Lexer<never, never> {
  return new Lexer<never, never>({ gfm: true, tokenizer: new BoundedTokenizer() });
}
