/** What another program or a file gives to standard input, as text. */
import { UsageError } from "../command.ts";

/** A message is at most 4 MiB with all around it; what is more is refused before it is read to its end (L7). */
const maxBytes = 4_194_304;

/** Resolves when the input has ended. Throws UsageError for more than 4 MiB, or for what is no UTF-8 text. */
export async function readPipedText(stream: NodeJS.ReadableStream): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    const read = Buffer.from(part);
    bytes += read.length;
    if (bytes > maxBytes) throw new UsageError(`standard input is longer than a message may be (${maxBytes} bytes)`);
    parts.push(read);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw new UsageError("standard input is no UTF-8 text");
  }
}
