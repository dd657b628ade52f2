// Keeps: a text file is read as the editors of this world write it: UTF-8 or UTF-16, with a byte order mark or without,
// lines ended by LF, CRLF or CR. What is none of these is said, never guessed.

export type Decoded = { readonly text: string } | { readonly problem: string };

/** The text of a file's bytes, its lines ended by LF. */
export function decodeText(bytes: Uint8Array): Decoded {
  const encoding = encodingOf(bytes);
  try {
    // A byte order mark is left out by the decoder.
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return { text: text.replace(/\r\n?/g, "\n") };
  } catch {
    return { problem: `bytes that are not ${encoding === "utf-8" ? "UTF-8" : "UTF-16"}` };
  }
}

/** By the mark; without one by the zero byte that UTF-16 has beside the first character of every configuration. */
function encodingOf([first, second]: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  if (first !== undefined && first !== 0 && second === 0) return "utf-16le";
  if (first === 0 && second !== undefined && second !== 0) return "utf-16be";
  return "utf-8";
}
