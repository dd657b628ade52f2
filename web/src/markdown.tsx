/**
 * Model output as React elements: never as HTML, no pictures from elsewhere, and only http, https and mailto links, so
 * that what a model or a tool writes can't run or load anything.
 */
import { Lexer, type MarkedToken, type Token, type Tokens } from "marked";
import { Fragment, memo, type ReactNode } from "react";

/** More quotes or list marks than this at the start of a line are shown as text: nesting costs stack (L7). */
const maxDepth = 12;
const deeperLines = new RegExp(`^(?:[ \\t]*(?:>|(?:[-*+]|\\d{1,9}[.)])[ \\t])){${maxDepth + 1},}`, "gm");

export const Markdown = memo(function Markdown({ text }: { readonly text: string }) {
  return <div className="markdown">{renderBlocks(readTokens(text))}</div>;
});

/** An answer grows while it is shown: what is not closed yet runs to the end. */
function readTokens(text: string): Token[] {
  const bounded = text.replace(deeperLines, (marks) => marks.replace(/[>*+.)-]/g, "\\$&"));
  return new Lexer({ gfm: true }).lex(bounded);
}

function renderBlocks(tokens: readonly Token[]): ReactNode {
  // biome-ignore lint/suspicious/noArrayIndexKey: blocks only grow at their end.
  return tokens.map((token, index) => <Block key={index} token={token as MarkedToken} />);
}

// A block of a growing answer changes only while it is the last one; the others are compared by their source.
const Block = memo(
  function Block({ token }: { readonly token: MarkedToken }): ReactNode {
    switch (token.type) {
      case "paragraph":
        return <p>{renderInline(token.tokens)}</p>;
      case "heading": {
        // The page's own headings come first: a model's # begins below them.
        const Heading = token.depth <= 1 ? "h2" : token.depth === 2 ? "h3" : "h4";
        return <Heading>{renderInline(token.tokens)}</Heading>;
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
        // biome-ignore lint/suspicious/noArrayIndexKey: items only grow at their end.
        const items = token.items.map((item, index) => <li key={index}>{renderItem(item)}</li>);
        return token.ordered ? <ol start={token.start || 1}>{items}</ol> : <ul>{items}</ul>;
      }
      case "blockquote":
        return <blockquote>{renderBlocks(token.tokens)}</blockquote>;
      case "table":
        return <Table head={token.header} rows={token.rows} />;
      case "hr":
        return <hr />;
      case "space":
      case "def":
        return null;
      default:
        // Text of a tight list, and HTML, which is shown as it was written.
        return "tokens" in token && token.tokens !== undefined ? renderInline(token.tokens) : token.raw;
    }
  },
  (before, after) => before.token.raw === after.token.raw && before.token.type === after.token.type,
);

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
              <th key={index}>{renderInline(cell.tokens)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>{renderInline(cell.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function renderInline(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, index) => <Fragment key={index}>{renderPiece(token as MarkedToken)}</Fragment>);
}
/* biome-ignore-end lint/suspicious/noArrayIndexKey: see above. */

function renderPiece(token: MarkedToken): ReactNode {
  switch (token.type) {
    case "strong":
      return <strong>{renderInline(token.tokens)}</strong>;
    case "em":
      return <em>{renderInline(token.tokens)}</em>;
    case "del":
      return <del>{renderInline(token.tokens)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "link":
      return <SafeLink href={token.href}>{renderInline(token.tokens)}</SafeLink>;
    case "image":
      return token.text;
    case "escape":
      return token.text;
    case "text":
      return token.tokens === undefined ? token.text : renderInline(token.tokens);
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
