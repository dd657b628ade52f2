/**
 * What people can search for, folded from a session's log: every message, and what an agent answered in a run.
 *
 * An answer is one document, made when its run has ended: only then is it known what of it stays. Until then its text
 * is kept in parts, which go over from one piece of the log to the next.
 *
 * Keeps S3 (a delta truncates its block to its offset, then appends) and S8 (what a StepDiscarded names is never found).
 * Keeps L7: a document has a bound, and so have the parts of all runs together.
 */
import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import type { TextDelta } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { StoredEvent } from "./stored-event.ts";
import { readEventBody } from "./wire/read-event-body.ts";

/** UTF-8 bytes of a document, and of the parts of one session; what stands behind them is not found. */
const maxSearchableBytes = 262_144;

/** Field numbers of text_delta, message_received, step_discarded and run_finished. */
const foldedBodies: ReadonlySet<number> = new Set([7, 16, 23, 37]);

/** Whether an event has a say in what is searchable; the others need not be decoded. */
export function isSearchable({ bytes }: StoredEvent): boolean {
  return foldedBodies.has(readEventBody(bytes));
}

export interface SearchDocument {
  /** Of the message, or of the answer's RunFinished. */
  readonly seq: number;
  readonly text: string;
}

/** What a run that has not ended said in one block. */
export interface AnswerPart {
  readonly runId: string;
  readonly step: number;
  readonly attempt: number;
  readonly blockId: string;
  readonly text: string;
}

interface Part extends AnswerPart {
  text: string;
  /** Of `text`, in UTF-8. */
  bytes: number;
}

export class SearchableText {
  /** In order. */
  readonly documents: SearchDocument[] = [];
  #parts: Part[];
  #partsChanged = false;

  /** `parts` are the ones that the fold of the log so far left. */
  constructor(parts: readonly AnswerPart[]) {
    this.#parts = parts.map((part) => ({ ...part, bytes: Buffer.byteLength(part.text) }));
  }

  /** In the order in which the blocks began; undefined when they are what they were. */
  get changedParts(): readonly AnswerPart[] | undefined {
    return this.#partsChanged ? this.#parts : undefined;
  }

  apply(event: Event): void {
    const { body, runId } = event;
    switch (body.case) {
      case "messageReceived":
        this.#addDocument(Number(event.seq), body.value.content.flatMap(textOf));
        return;
      case "textDelta":
        this.#applyDelta(event, body.value);
        return;
      case "stepDiscarded": {
        const { step, attempt } = body.value;
        this.#takeParts((part) => part.runId === runId && part.step === step && part.attempt === attempt);
        return;
      }
      case "runFinished": {
        const said = this.#takeParts((part) => part.runId === runId);
        this.#addDocument(
          Number(event.seq),
          said.map(({ text }) => text),
        );
        return;
      }
      default:
        return;
    }
  }

  #addDocument(seq: number, texts: readonly string[]): void {
    const text = cut(texts.join("\n"), maxSearchableBytes);
    if (text.trim() !== "") this.documents.push({ seq, text });
  }

  #applyDelta({ runId, step, attempt }: Event, { blockId, offset, text }: TextDelta): void {
    if (text === "") return;
    const isOfBlock = (part: Part): boolean => part.runId === runId && part.blockId === blockId;
    const part = this.#parts.find(isOfBlock) ?? this.#addPart({ runId, step, attempt, blockId, text: "", bytes: 0 });
    const room = maxSearchableBytes - this.#parts.reduce((sum, each) => sum + (each === part ? 0 : each.bytes), 0);
    const hasMoved = resize(part, Math.min(Number(offset), room));
    const added = cut(text, room - part.bytes);
    // Where a part is full, what follows changes nothing that would have to be stored.
    if (!hasMoved && added === "") return;
    part.text += added;
    part.bytes += Buffer.byteLength(added);
    this.#partsChanged = true;
  }

  #addPart(part: Part): Part {
    this.#parts.push(part);
    this.#partsChanged = true;
    return part;
  }

  /** Removes parts and gives them back. */
  #takeParts(isTaken: (part: Part) => boolean): Part[] {
    const taken = this.#parts.filter(isTaken);
    if (taken.length === 0) return taken;
    this.#parts = this.#parts.filter((part) => !isTaken(part));
    this.#partsChanged = true;
    return taken;
  }
}

function textOf({ block }: ContentBlock): string[] {
  return block.case === "text" ? [block.value.text] : [];
}

/**
 * Truncates to so many bytes, or fills up to them where the text before them is not known: history was trimmed. False
 * when it has so many.
 */
function resize(part: Part, bytes: number): boolean {
  if (bytes < part.bytes) part.text = cut(part.text, bytes);
  else if (bytes > part.bytes) part.text += " ".repeat(bytes - part.bytes);
  else return false;
  part.bytes = Buffer.byteLength(part.text);
  return true;
}

/** The longest beginning of at most so many bytes that ends between two code points. */
function cut(text: string, maxBytes: number): string {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text;
  const encoded = Buffer.from(text);
  let end = Math.max(0, maxBytes);
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end--;
  return encoded.toString("utf8", 0, end);
}
