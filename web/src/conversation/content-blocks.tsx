/** Content of messages and tool results. What the page cannot show it names (L9). */
import { type ContentBlock, TextFormat } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { Markdown } from "../markdown/markdown.tsx";

export function ContentBlocks({ content }: { readonly content: readonly ContentBlock[] }) {
  // biome-ignore lint/suspicious/noArrayIndexKey: blocks have no id, and their order never changes.
  return content.map((block, index) => <Block key={index} block={block.block} />);
}

function Block({ block }: { readonly block: ContentBlock["block"] }) {
  switch (block.case) {
    case "text": {
      const { text, format } = block.value;
      if (format === TextFormat.MARKDOWN) return <Markdown text={text} />;
      if (format === TextFormat.CODE || format === TextFormat.JSON) return <pre className="code">{text}</pre>;
      return (
        <p className="plain" dir="auto">
          {text}
        </p>
      );
    }
    case "command":
      return (
        <p className="plain" dir="auto">
          /{[block.value.name, ...block.value.arguments].join(" ")}
        </p>
      );
    case "image":
      return <Unshown what="Image" name={block.value.altText || block.value.media?.fileName} />;
    case "audio":
      return <Unshown what="Audio" name={block.value.transcript || block.value.media?.fileName} />;
    case "video":
      return <Unshown what="Video" name={block.value.media?.fileName} />;
    case "file":
      return <Unshown what="File" name={block.value.media?.fileName} />;
    case "thinking":
      return (
        <p className="plain" dir="auto">
          {block.value.text}
        </p>
      );
    case "toolUse":
      return <Unshown what="Tool call" name={block.value.tool} />;
    case "toolResult":
      return <ContentBlocks content={block.value.content} />;
    case "stream":
      return <Unshown what="Stream" name={block.value.mediaType} />;
    case "extension":
      return <Unshown what="Extension" name={block.value.typeUrl} />;
    case undefined:
      return <Unshown what="Content of an unknown kind" name="" />;
  }
}

function Unshown({ what, name }: { readonly what: string; readonly name: string | undefined }) {
  return <p className="unshown">{name ? `${what}: ${name}` : what}</p>;
}
