/** Plays the steps of an answer. See script.ts. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type Step, usualSteps } from "./script.ts";

/** What is answered. */
export interface Asked {
  readonly method: string;
  readonly id: unknown;
  readonly progressToken: unknown;
}

/** Where an answer goes to. */
export interface Output {
  /** Resolves when more can be taken; at once when it is over. */
  write(part: string | Buffer): Promise<void>;
  /** Writes one JSON text in the frame of this transport. */
  writeMessage(json: string): Promise<void>;
  readonly isOver: boolean;
  stopReading(): void;
  cut(): void;
  /** Steps that only this transport knows. */
  play(step: Step): void;
}

const floodChunkBytes = 64 * 1024;
const pacedEveryMs = 20;

/** Resolves to false when the answer stays open for ever. */
export async function playSteps(answer: Answer, asked: Asked, output: Output): Promise<boolean> {
  for (const step of answer) {
    if (output.isOver) return true;
    if ("hang" in step) return false;
    await playStep(step, asked, output);
  }
  return true;
}

async function playStep(step: Step, asked: Asked, output: Output): Promise<void> {
  if ("result" in step) await output.writeMessage(response(asked, { result: step.result }));
  else if ("error" in step) await output.writeMessage(response(asked, { error: step.error }));
  else if ("send" in step) await output.writeMessage(fillIn(JSON.stringify(step.send), asked));
  else if ("raw" in step) await output.write(fillIn(step.raw, asked));
  else if ("base64" in step) await output.write(Buffer.from(step.base64, "base64"));
  else if ("fill" in step) await fill(step.fill, step.bytes, output);
  else if ("flood" in step) await flood(fillIn(step.flood, asked), step, output);
  else if ("usual" in step) await playSteps(usualSteps(asked.method), asked, output);
  else if ("delayMs" in step) await sleep(step.delayMs);
  else if ("stopReading" in step) output.stopReading();
  else if ("cut" in step) output.cut();
  else output.play(step);
}

function response(asked: Asked, body: object): string {
  return fillIn(JSON.stringify({ jsonrpc: "2.0", id: "$id", ...body }), asked);
}

function fillIn(text: string, { id, progressToken }: Asked): string {
  const values = { id: JSON.stringify(id ?? null), token: JSON.stringify(progressToken ?? null) };
  return text.replace(
    /"\$(id|token)"|\$(id|token)\b/g,
    (_, quoted, bare) => values[(quoted ?? bare) as "id" | "token"],
  );
}

async function fill(text: string, bytes: number, output: Output): Promise<void> {
  const chunk = Buffer.alloc(Math.min(bytes, floodChunkBytes - (floodChunkBytes % Buffer.byteLength(text))), text);
  for (let left = bytes; left > 0 && !output.isOver; left -= chunk.length) {
    await output.write(chunk.subarray(0, Math.min(left, chunk.length)));
  }
}

async function flood(
  text: string,
  { perSecond, seconds = Number.POSITIVE_INFINITY }: { readonly perSecond?: number; readonly seconds?: number },
  output: Output,
): Promise<void> {
  const startMs = performance.now();
  const isCounted = text.includes("$n");
  const aChunk = Math.max(1, Math.floor(floodChunkBytes / text.length));
  let sent = 0;
  const write = async (count: number): Promise<void> => {
    const first = sent;
    sent += count;
    const parts = isCounted
      ? Array.from({ length: count }, (_, n) => text.replaceAll("$n", `${first + n}`))
      : undefined;
    await output.write(parts?.join("") ?? text.repeat(count));
  };
  for (let passedMs = 0; passedMs < seconds * 1000 && !output.isOver; passedMs = performance.now() - startMs) {
    if (perSecond === undefined) await write(aChunk);
    else {
      const due = Math.floor((perSecond * passedMs) / 1000) - sent;
      if (due > 0) await write(due);
      await sleep(pacedEveryMs);
    }
    // A pipe that takes everything must not keep this process from reading.
    await sleep(0);
  }
}
