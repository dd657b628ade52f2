/**
 * The conversations that a worker has folded already, so that a turn reads only what is new of the log.
 *
 * Keeps L2 and L3: it is a cache. What is folded is what the log says, never what the worker believes to have written;
 * a log that was replaced is folded afresh. Keeps L7: it holds a bounded number of sessions and of bytes that were folded,
 * the least used leave, and of each session the newest runs alone: more than a model is ever shown.
 */
import type { CallOptions } from "@connectrpc/connect";
import type { Session } from "../../../gen/atoll/session/v1/session_pb.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import { readEventRange } from "../../kernel/event/wire/read-event-range.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { ConversationFold } from "./conversation-fold.ts";

const pageSize = 5_000;

/** Bytes of the events that were folded into all that is remembered; of one session they may be more. */
const maxFoldedBytes = 268_435_456;

/** Times in a row that a log is read anew because retention overtook the reader. */
const maxFreshStarts = 3;

interface Remembered {
  readonly logId: string;
  fold: ConversationFold;
  afterSeq: number;
  foldedBytes: number;
}

export class SessionMemory {
  readonly #session: AgentDeps["session"];
  readonly #known = new Map<string, Remembered>();
  readonly #maxSessions: number;
  readonly #maxRuns: number;

  /** Of `maxSessions` sessions the newest `maxRuns` runs are kept at the most. */
  constructor(session: AgentDeps["session"], { maxSessions, maxRuns }: Record<"maxSessions" | "maxRuns", number>) {
    this.#session = session;
    this.#maxSessions = maxSessions;
    this.#maxRuns = maxRuns;
  }

  /** How full it is. */
  counts(): { readonly cachedSessions: number; readonly cachedSessionsCapacity: number } {
    return { cachedSessions: this.#known.size, cachedSessionsCapacity: this.#maxSessions };
  }

  /**
   * The conversation through the session's head or later. `recent` are newest events through that head; where they join
   * what is known, the log is not asked. Rejects as soon as the call's signal aborts; what it was reading is forgotten.
   */
  async read(
    { sessionId, logId, headSeq }: Pick<Session, "sessionId" | "logId" | "headSeq">,
    recent: readonly Uint8Array[],
    call: CallOptions,
  ): Promise<ConversationFold> {
    const known = this.#known.get(sessionId);
    this.#known.delete(sessionId);
    const memory =
      known?.logId === logId
        ? known
        : { logId, fold: new ConversationFold(this.#maxRuns), afterSeq: 0, foldedBytes: 0 };
    const first = recent[0];
    if (first !== undefined && readEventRange(first).firstSeq <= memory.afterSeq + 1) apply(memory, recent);
    if (memory.afterSeq < Number(headSeq)) await this.#catchUpAnew(sessionId, memory, call);
    this.#known.set(sessionId, memory);
    this.#forgetLeastUsed();
    return memory.fold;
  }

  /** The one that was used last stays. */
  #forgetLeastUsed(): void {
    let bytes = 0;
    for (const { foldedBytes } of this.#known.values()) bytes += foldedBytes;
    for (const [sessionId, { foldedBytes }] of this.#known) {
      if (this.#known.size <= this.#maxSessions && (bytes <= maxFoldedBytes || this.#known.size === 1)) return;
      this.#known.delete(sessionId);
      bytes -= foldedBytes;
    }
  }

  /** What is known may end before what retention has left of the log: then that is all there is to know. */
  async #catchUpAnew(sessionId: string, memory: Remembered, call: CallOptions): Promise<void> {
    for (let freshStarts = 0; ; freshStarts++) {
      try {
        await this.#catchUp(sessionId, memory, call);
        return;
      } catch (error) {
        if (!failedWith(error, ErrorReason.HISTORY_TRIMMED) || freshStarts >= maxFreshStarts) throw error;
        Object.assign(memory, { fold: new ConversationFold(this.#maxRuns), afterSeq: 0, foldedBytes: 0 });
      }
    }
  }

  async #catchUp(sessionId: string, memory: Remembered, call: CallOptions): Promise<void> {
    let pageToken = "";
    do {
      const cursor = { logId: memory.logId, afterSeq: BigInt(memory.afterSeq) };
      const page = await this.#session.listEvents({ sessionId, cursor, pageSize, pageToken }, call);
      apply(memory, page.events);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }
}

function apply(memory: Remembered, events: readonly Uint8Array[]): void {
  for (const bytes of events) {
    const { seq } = readEventRange(bytes);
    if (seq <= memory.afterSeq) continue;
    memory.fold.apply(bytes);
    memory.afterSeq = seq;
    memory.foldedBytes += bytes.length;
  }
}
