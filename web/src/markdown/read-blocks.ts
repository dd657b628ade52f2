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
  /** Where the last block begins. */
  readonly lastBlockAt: number;
}

/** The longest text and the longest block that are read; what is longer is plain. */
const longestText = 500_000;
const longestBlock = 200_000;

/** @param before What an earlier part of the same text was split into: its blocks but the last are taken as they are. */
export function splitText(source: string, before?: SplitText): SplitText {
  const text = source.includes("\r") ? source.replace(/\r\n?/g, "\n") : source;
  const grows = before !== undefined && before.blocks.length > 1 && text.startsWith(before.text);
  const from = grows ? before.lastBlockAt : 0;
  const kept = grows ? before.blocks.slice(0, -1) : [];
  const part = text.slice(from, longestText);
  const lexer = newLexer();
  if (grows) Object.assign(lexer.tokens.links, before.links);
  let blocks: MarkdownBlock[];
  let lastBlockAt = from;
  try {
    const tokens = lexer.blockTokens(part, lexer.tokens);
    let at = from;
    for (const { type, raw } of tokens) {
      if (type !== "space") lastBlockAt = at;
      at += raw.length;
    }
    blocks = tokens
      .filter(({ type }) => type !== "space")
      .map(({ raw }) => ({ raw, isPlain: raw.length > longestBlock }));
    // Marked tells its tokens' sources as it read them: where they are not the text's own, it is split anew each time.
    if (at !== from + part.length) lastBlockAt = -1;
  } catch {
    blocks = [{ raw: part, isPlain: true }];
  }
  if (text.length > longestText) blocks.push({ raw: text.slice(longestText), isPlain: true });
  const all = [...kept, ...blocks];
  const canGrow = lastBlockAt >= 0 && text.length <= longestText;
  return canGrow
    ? { text, blocks: all, links: lexer.tokens.links, lastBlockAt }
    : { text: "\u0000", blocks: all, links: lexer.tokens.links, lastBlockAt: 0 };
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
