/**
 * The data of each event of an event stream, as text.
 *
 * Not the SDK's reader: that one takes nothing without an `event:` line, waits for the end of a connection that stays open,
 * and keeps a line of any length. Keeps L7: `longestFrameBytes` for one event, `longestAnswerBytes` for all of them.
 *
 * Source: the HTML Standard, server-sent events: lines end in CR, LF or CRLF, `data` lines of one event are joined by LF.
 */
import { MalformedAnswer } from "./malformed-answer.ts";

/** Of one event: an answer's largest piece, escaped as JSON. */
const longestFrameBytes = 33_554_432;
/** Of a whole answer on the wire; what its blocks may hold is far less (read-events.ts). */
const longestAnswerBytes = 134_217_728;

export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  let pendingChars = 0;
  let data: string[] = [];
  let dataChars = 0;
  let answerBytes = 0;
  let endedInCr = false;
  for await (const chunk of chunks) {
    answerBytes += chunk.length;
    if (answerBytes > longestAnswerBytes)
      throw new MalformedAnswer(`the answer is longer than ${longestAnswerBytes} bytes`);
    let text = decoder.decode(chunk, { stream: true });
    // The LF of a CRLF that came in two chunks ends no line of its own.
    if (endedInCr && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") endedInCr = text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    for (const [index, part] of lines.entries()) {
      pieces.push(part);
      pendingChars += part.length;
      if (pendingChars + dataChars > longestFrameBytes) {
        throw new MalformedAnswer(`an event of the answer is longer than ${longestFrameBytes} bytes`);
      }
      if (index === lines.length - 1) break;
      const line = pieces.length === 1 ? part : pieces.join("");
      pieces = [];
      pendingChars = 0;
      if (line !== "") {
        const value = dataOf(line);
        if (value !== undefined) {
          data.push(value);
          dataChars += value.length;
        }
      } else if (data.length > 0) {
        yield data.join("\n");
        data = [];
        dataChars = 0;
      }
    }
  }
  // Some servers leave out the empty line behind the last event.
  const rest = dataOf(pieces.join(""));
  if (rest !== undefined) data.push(rest);
  if (data.length > 0) yield data.join("\n");
}

function dataOf(line: string): string | undefined {
  if (!line.startsWith("data:")) return undefined;
  return line.startsWith("data: ") ? line.slice(6) : line.slice(5);
}
