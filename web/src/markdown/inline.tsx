/** What stands in a line: emphasis, code, links, and the few tags without attributes that models write for lack of Markdown. */
import { decodeNamedCharacterReference } from "decode-named-character-reference";
import type { MarkedToken, Token } from "marked";
import { createElement, Fragment, type ReactNode } from "react";

/** Tags that are shown as what they mean, when they stand alone or are closed in the same line. */
const pairedTags: readonly string[] = [
  "b",
  "i",
  "em",
  "strong",
  "u",
  "s",
  "sub",
  "sup",
  "kbd",
  "mark",
  "small",
  "code",
];

export function Inline({ tokens }: { readonly tokens: readonly Token[] | undefined }): ReactNode {
  return tokens === undefined ? null : renderAll(tokens);
}

function renderAll(tokens: readonly Token[]): ReactNode[] {
  const shown: ReactNode[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as MarkedToken;
    const name = token.type === "html" ? /^<([a-z]+)>$/i.exec(token.raw)?.[1]?.toLowerCase() : undefined;
    const end = name !== undefined && pairedTags.includes(name) ? findClosing(tokens, at, name) : -1;
    if (end === -1 || name === undefined) shown.push(<Fragment key={at}>{renderPiece(token)}</Fragment>);
    else {
      shown.push(createElement(name, { key: at }, renderAll(tokens.slice(at + 1, end))));
      at = end;
    }
  }
  return shown;
}

function findClosing(tokens: readonly Token[], from: number, name: string): number {
  const closing = `</${name}>`;
  return tokens.findIndex(({ type, raw }, at) => at > from && type === "html" && raw.toLowerCase() === closing);
}

function renderPiece(token: MarkedToken): ReactNode {
  switch (token.type) {
    case "strong":
      return <strong>{renderAll(token.tokens)}</strong>;
    case "em":
      return <em>{renderAll(token.tokens)}</em>;
    case "del":
      return <del>{renderAll(token.tokens)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "html":
      return /^<br\s*\/?>$/i.test(token.raw) ? <br /> : token.raw;
    case "link":
      return <SafeLink href={decodeReferences(token.href)}>{renderAll(token.tokens)}</SafeLink>;
    case "image":
    case "escape":
      return token.text;
    case "text":
      return token.tokens === undefined ? decodeReferences(token.text) : renderAll(token.tokens);
    default:
      return token.raw;
  }
}

function SafeLink({ href, children }: { readonly href: string; readonly children: ReactNode }) {
  if (!/^(https?:\/\/|mailto:)/i.test(href)) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href}>
      {children}
    </a>
  );
}

/** `&amp;`, `&#8212;`, `&#x2014;` as the characters that they stand for; one that stands for none stays as it is. */
function decodeReferences(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z][\da-z]{1,31}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return decodeNamedCharacterReference(name) || whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : "\ufffd";
  });
}
