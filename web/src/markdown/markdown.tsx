/**
 * Model output as React elements: never as HTML, no pictures from elsewhere, and only http, https and mailto links, so
 * that what a model or a tool writes can't run or load anything.
 */
import type { MarkedToken, Token, Tokens } from "marked";
import { memo, type ReactNode, useRef } from "react";
import { Inline } from "./inline.tsx";
import { type Links, type MarkdownBlock, readBlock, type SplitText, splitText } from "./read-blocks.ts";

export const Markdown = memo(function Markdown({ text }: { readonly text: string }) {
  const before = useRef<SplitText | undefined>(undefined);
  const split = splitText(text, before.current);
  before.current = split;
  return (
    <div className="markdown">
      {split.blocks.map((block, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: blocks only grow at their end.
        <SourceBlock key={index} block={block} links={split.links} />
      ))}
    </div>
  );
});

// A block of a growing answer changes only while it is the last one, or when a label that it names is defined further down.
const SourceBlock = memo(
  function SourceBlock({ block, links }: { readonly block: MarkdownBlock; readonly links: Links }): ReactNode {
    const tokens = block.isPlain ? undefined : readBlock(block.raw, links);
    if (tokens !== undefined) return renderBlocks(tokens);
    return (
      <p className="plain" dir="auto">
        {block.raw}
      </p>
    );
  },
  (before, after) =>
    before.block.raw === after.block.raw &&
    (!after.block.raw.includes("[") || Object.keys(before.links).length === Object.keys(after.links).length),
);

function renderBlocks(tokens: readonly Token[]): ReactNode {
  // biome-ignore lint/suspicious/noArrayIndexKey: blocks only grow at their end.
  return tokens.map((token, index) => <Block key={index} token={token as MarkedToken} />);
}

function Block({ token }: { readonly token: MarkedToken }): ReactNode {
  switch (token.type) {
    case "paragraph":
      return (
        <p dir="auto">
          <Inline tokens={token.tokens} />
        </p>
      );
    case "heading": {
      // The page's own headings come first: a model's # begins below them.
      const Heading = token.depth <= 1 ? "h2" : token.depth === 2 ? "h3" : "h4";
      return (
        <Heading dir="auto">
          <Inline tokens={token.tokens} />
        </Heading>
      );
    }
    case "code":
      return (
        <figure className="fence">
          {token.lang && <figcaption>{token.lang}</figcaption>}
          <pre className="code">
            <code>{token.text}</code>
          </pre>
        </figure>
      );
    case "list": {
      const items = token.items.map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: items only grow at their end.
        <li key={index} dir="auto">
          {renderItem(item)}
        </li>
      ));
      return token.ordered ? <ol start={token.start || 1}>{items}</ol> : <ul>{items}</ul>;
    }
    case "blockquote":
      return <blockquote dir="auto">{renderBlocks(token.tokens)}</blockquote>;
    case "table":
      return <Table head={token.header} rows={token.rows} />;
    case "hr":
      return <hr />;
    case "space":
    case "def":
      return null;
    case "html":
      // A line that is a break and nothing else; other HTML is shown as it was written.
      return /^<br\s*\/?>\s*$/i.test(token.raw) ? <br /> : token.raw;
    default:
      // Text of a tight list.
      return "tokens" in token && token.tokens !== undefined ? <Inline tokens={token.tokens} /> : token.raw;
  }
}

function renderItem({ tokens, task, checked }: Tokens.ListItem): ReactNode {
  return (
    <>
      {task && <input type="checkbox" checked={checked === true} readOnly />}
      {renderBlocks(tokens.filter(({ type }) => type !== "checkbox"))}
    </>
  );
}

/* biome-ignore-start lint/suspicious/noArrayIndexKey: cells have no id, and their order never changes. */
function Table({ head, rows }: { readonly head: readonly Tokens.TableCell[]; readonly rows: Tokens.TableCell[][] }) {
  return (
    <div className="table">
      <table>
        <thead>
          <tr>
            {head.map((cell, index) => (
              <th key={index} dir="auto">
                <Inline tokens={cell.tokens} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column} dir="auto">
                  <Inline tokens={cell.tokens} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
/* biome-ignore-end lint/suspicious/noArrayIndexKey: see above. */
