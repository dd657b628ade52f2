/**
 * One answer of the API, from its response to its last part.
 *
 * The answer is over with `message_stop`, whatever the connection does: what is left of it is read for a moment, so that
 * the connection can be used again, and then cut. Leaving early cuts it at once.
 */
import type { Clock } from "../../../../kernel/clock.ts";
import type { ModelPart } from "../../model.ts";
import { MalformedAnswer } from "./malformed-answer.ts";
import type { EventReader } from "./read-events.ts";
import { readFrames } from "./read-frames.ts";
import type { SilenceWatch } from "./watch-silence.ts";

/** How long a connection may take to end after its answer has ended. */
const endWaitMs = 100;

/**
 * Gives the parts. Throws MalformedAnswer for what is no answer, StreamedError for one that ends in an error, and whatever
 * the connection throws; ends without throwing also when the answer was cut short, which `reader.complete` tells.
 */
export async function* readAnswer(
  response: Response,
  reader: EventReader,
  { clock, silence }: { readonly clock: Clock; readonly silence: SilenceWatch },
): AsyncGenerator<ModelPart, void, undefined> {
  const type = response.headers.get("content-type") ?? "";
  if (response.body === null || type.includes("html")) {
    await response.body?.cancel();
    throw new MalformedAnswer(`the answer is no event stream but ${type === "" ? "empty" : type.slice(0, 100)}`);
  }
  const body = response.body.getReader();
  let isOver = false;
  try {
    let frames = 0;
    for await (const frame of readFrames(chunksOf(body, silence))) {
      frames += 1;
      yield* reader.read(parse(frame));
      if (reader.complete) {
        isOver = true;
        break;
      }
    }
    if (frames === 0) throw new MalformedAnswer("the answer has no events");
  } finally {
    if (isOver) void letEnd(body, clock);
    else void cut(body);
  }
}

async function* chunksOf(
  body: ReadableStreamDefaultReader<Uint8Array>,
  silence: SilenceWatch,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    silence.listen();
    const next = await body.read();
    silence.heard();
    if (next.done) return;
    yield next.value;
  }
}

function parse(frame: string): unknown {
  try {
    return JSON.parse(frame);
  } catch {
    throw new MalformedAnswer("an event of the answer is not valid JSON");
  }
}

async function letEnd(body: ReadableStreamDefaultReader<Uint8Array>, clock: Clock): Promise<void> {
  const timer = clock.setTimer(endWaitMs, () => void cut(body));
  try {
    // One chunk may hold what the server sends behind its last event.
    for (let chunks = 0; chunks < 2; chunks++) if ((await body.read()).done) return;
    await cut(body);
  } catch {
    // The connection broke behind the answer: nobody waits for it any more.
  } finally {
    timer.cancel();
  }
}

async function cut(body: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  await body.cancel().catch(() => undefined);
}
