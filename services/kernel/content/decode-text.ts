/** Reads bytes as text where they are text. */
import { isUtf8 } from "node:buffer";
import { sniffMedia } from "./sniff-media.ts";

const textTypes =
  /^(text\/.*|application\/(.*\+)?(json|xml|yaml)|application\/(x-yaml|javascript|ecmascript|x-javascript|typescript|toml|sql|graphql|x-sh|jsonl|x-ndjson|ndjson|json5|rtf|x-www-form-urlencoded)|image\/svg\+xml|message\/rfc822)$/;
/** What servers say when they do not know. */
const unknownTypes: readonly string[] = ["", "application/octet-stream", "binary/octet-stream"];
// Controls that no text has; tab, line feed, form feed and carriage return are none of them.
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const binary = /[\u0000-\u0008\u000b\u000e-\u001a\u001c-\u001f\u007f]/;

/**
 * The text when the media type says text, or says nothing and the bytes are printable UTF-8; undefined when they are
 * something else. A byte order mark decides and is left out, then the type's `charset`, then UTF-8.
 */
export function decodeText(bytes: Uint8Array, mediaType: string): string | undefined {
  // An SVG is a picture to people and text to models.
  const sniffed = sniffMedia(bytes)?.mediaType ?? "image/svg+xml";
  if (sniffed !== "image/svg+xml") return undefined;
  const [essence = "", ...parameters] = mediaType
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  const marked = markedEncoding(bytes);
  if (textTypes.test(essence)) {
    const charset = parameters.find((each) => each.startsWith("charset="))?.slice("charset=".length);
    return decodeAs(bytes, marked ?? charset?.replaceAll('"', "") ?? "utf-8");
  }
  if (!unknownTypes.includes(essence)) return undefined;
  const text = marked === undefined && !isUtf8(bytes) ? undefined : decodeAs(bytes, marked ?? "utf-8");
  return text === undefined || binary.test(text) ? undefined : text;
}

function markedEncoding(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  return undefined;
}

/** Undefined when the bytes are not of this encoding, or nobody knows it. */
function decodeAs(bytes: Uint8Array, encoding: string): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
