/**
 * Model output as React elements: never as HTML, no pictures from elsewhere, and only http, https and mailto links, so
 * that what a model or a tool writes can't run or load anything.
 */
import { Fragment, memo, type ReactNode } from "react";
import { type MarkdownBlock, parseMarkdown } from "./parse-markdown.ts";

export const Markdown = memo(function Markdown({ text }: { readonly text: string }) {
  return <div className="markdown">{renderBlocks(parseMarkdown(text))}</div>;
});

function renderBlocks(blocks: readonly MarkdownBlock[]): ReactNode {
  // biome-ignore lint/suspicious/noArrayIndexKey: blocks only grow at their end.
  return blocks.map((block, index) => <Block key={index} block={block} />);
}

// A block of a growing answer changes only while it is the last one; the others are compared by their source.
const Block = memo(
  function Block({ block }: { readonly block: MarkdownBlock }): ReactNode {
    switch (block.kind) {
      case "paragraph":
        return <p>{renderInline(block.text)}</p>;
      case "heading": {
        // The page's own headings come first: a model's # begins below them.
        const Heading = block.level <= 1 ? "h2" : block.level === 2 ? "h3" : "h4";
        return <Heading>{renderInline(block.text)}</Heading>;
      }
      case "code":
        return (
          <figure className="fence">
            {block.language !== "" && <figcaption>{block.language}</figcaption>}
            <pre className="code">
              <code>{block.text}</code>
            </pre>
          </figure>
        );
      case "list": {
        // biome-ignore lint/suspicious/noArrayIndexKey: items only grow at their end.
        const items = block.items.map((item, index) => <li key={index}>{renderItem(item)}</li>);
        return block.start === undefined ? <ul>{items}</ul> : <ol start={block.start}>{items}</ol>;
      }
      case "quote":
        return <blockquote>{renderBlocks(block.blocks)}</blockquote>;
      case "table":
        return <Table head={block.head} rows={block.rows} />;
      case "rule":
        return <hr />;
    }
  },
  (before, after) => JSON.stringify(before.block) === JSON.stringify(after.block),
);

/** An item of one paragraph stands without its margins. */
function renderItem(blocks: readonly MarkdownBlock[]): ReactNode {
  const [first, ...rest] = blocks;
  if (first?.kind !== "paragraph") return renderBlocks(blocks);
  return (
    <>
      {renderInline(first.text)}
      {renderBlocks(rest)}
    </>
  );
}

/* biome-ignore-start lint/suspicious/noArrayIndexKey: cells have no id, and their order never changes. */
function Table({ head, rows }: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }) {
  return (
    <div className="table">
      <table>
        <thead>
          <tr>
            {head.map((cell, index) => (
              <th key={index}>{renderInline(cell)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>{renderInline(cell)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
/* biome-ignore-end lint/suspicious/noArrayIndexKey: see above. */

const inlinePattern =
  /(?<tick>`+)(?<code>[^`]+?)\k<tick>(?!`)|\*\*(?<strong>[^*\n]+?)\*\*|(?<![\w*])\*(?<em>[^*\s][^*\n]*?)\*(?![\w*])|\[(?<label>[^\]\n]+)\]\((?<href>(?:[^()\s]|\([^()\s]*\))+)\)|(?<url>https?:\/\/[^\s<>()[\]"'`]*[^\s<>()[\]"'`.,;:!?])/g;

function renderInline(text: string): ReactNode {
  const parts: ReactNode[] = [];
  let from = 0;
  for (const match of text.matchAll(inlinePattern)) {
    if (match.index > from) parts.push(text.slice(from, match.index));
    const { code, strong, em, label, href, url } = match.groups ?? {};
    if (code !== undefined) parts.push(<code>{code}</code>);
    else if (strong !== undefined) parts.push(<strong>{renderInline(strong)}</strong>);
    else if (em !== undefined) parts.push(<em>{renderInline(em)}</em>);
    else parts.push(<SafeLink href={href ?? url ?? ""}>{label ?? url}</SafeLink>);
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text only grow at their end.
  return parts.map((part, index) => <Fragment key={index}>{part}</Fragment>);
}

function SafeLink({ href, children }: { readonly href: string; readonly children: ReactNode }) {
  if (!/^(https?:\/\/|mailto:)/i.test(href)) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href}>
      {children}
    </a>
  );
}
