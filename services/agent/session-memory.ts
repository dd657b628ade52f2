/**
 * The conversations that a worker has folded already, so that a turn reads only what is new of the log.
 *
 * Keeps L2 and L3: it is a cache. What is folded is what the log says, never what the worker believes to have written;
 * a log that was replaced is folded afresh. Keeps L7: it holds a bounded number of sessions, the least used leave.
 */
import type { CallOptions } from "@connectrpc/connect";
import { readEventRange } from "../kernel/event/read-event-range.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { ConversationFold } from "./conversation.ts";

const maxSessions = 256;
const pageSize = 5_000;

interface Remembered {
  readonly logId: string;
  readonly fold: ConversationFold;
  afterSeq: number;
}

export class SessionMemory {
  readonly #session: AgentDeps["session"];
  readonly #known = new Map<string, Remembered>();

  constructor(session: AgentDeps["session"]) {
    this.#session = session;
  }

  /** The conversation up to the head. */
  async read(sessionId: string, logId: string, call: CallOptions): Promise<ConversationFold> {
    const known = this.#known.get(sessionId);
    this.#known.delete(sessionId);
    const memory = known?.logId === logId ? known : { logId, fold: new ConversationFold(), afterSeq: 0 };
    let pageToken = "";
    do {
      const cursor = { logId, afterSeq: BigInt(memory.afterSeq) };
      const page = await this.#session.listEvents({ sessionId, cursor, pageSize, pageToken }, call);
      for (const bytes of page.events) {
        const { seq } = readEventRange(bytes);
        if (seq <= memory.afterSeq) continue;
        memory.fold.apply(bytes);
        memory.afterSeq = seq;
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    if (this.#known.size >= maxSessions) {
      const oldest = this.#known.keys().next();
      if (oldest.done === false) this.#known.delete(oldest.value);
    }
    this.#known.set(sessionId, memory);
    return memory.fold;
  }
}
