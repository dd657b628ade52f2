/**
 * The gateway's one watch per session, whatever the number of its readers.
 *
 * Keeps S2: what a feed hands on is dense from where the feed began; after a break it goes on from there, and where it
 * can't, from the head, and its readers are told to read the log. Keeps L3: it is a hint to its readers, who read the log
 * where it does not fit. Keeps L7: one stream a tenant; a feed begins at the head, so that a long log never stands on the
 * stream before other sessions' live events; a feed without readers is ended; the waits between tries have a bound.
 */

import { type CallOptions, Code } from "@connectrpc/connect";
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import type { RawEventBatch } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { WatchCancelled, WatchRequest } from "../../../gen/atoll/session/v1/watch_pb.ts";
import type { Principal } from "../../kernel/auth/principal.ts";
import { reasonName } from "../../kernel/errors.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { readEventRange } from "../../kernel/event/wire/read-event-range.ts";
import { callValues } from "../../kernel/rpc/call-context.ts";
import { Redial } from "../../kernel/rpc/hops/redial.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { LogSlice, TailSource } from "../../kernel/stream/tail-log.ts";
import type { GatewayDeps } from "../gateway-deps.ts";

type WatchFrame = WatchRequest["frame"];

interface Feed {
  readonly watchId: bigint;
  readonly sessionId: string;
  readonly listeners: Set<(slice: LogSlice) => void>;
  readonly redial: Redial;
  logId: string;
  deliveredSeq: number;
  /** Whether its last request was refused, and is made again. */
  isRefused: boolean;
}

/** The feeds of one tenant. */
class TenantHub {
  readonly #deps: GatewayDeps;
  readonly #principal: Principal;
  readonly #feeds = new Map<string, Feed>();
  readonly #byWatch = new Map<bigint, Feed>();
  readonly #stop = new AbortController();
  #nextWatchId = 1n;
  #stream: FrameQueue<{ frame: WatchFrame }> | undefined;
  #loop: Promise<void> | undefined;

  constructor(deps: GatewayDeps, tenant: string) {
    this.#deps = deps;
    const scopes = new Set([AuthScope.SESSIONS_READ]);
    this.#principal = { tenant, name: "service:gateway", scopes, origin: undefined, run: undefined };
  }

  subscribe(
    sessionId: string,
    logId: string,
    headSeq: number,
    listener: (slice: LogSlice) => void,
  ): ReturnType<TailSource["subscribe"]> {
    this.#loop ??= this.#watchForEver();
    let feed = this.#feeds.get(sessionId);
    if (feed === undefined) {
      const redial = new Redial(this.#deps.clock);
      const place = { logId, deliveredSeq: headSeq };
      feed = { watchId: this.#nextWatchId++, sessionId, listeners: new Set(), redial, ...place, isRefused: false };
      this.#feeds.set(sessionId, feed);
      this.#byWatch.set(feed.watchId, feed);
      this.#create(feed);
    }
    const joined = feed;
    joined.listeners.add(listener);
    const unsubscribe = (): void => {
      joined.listeners.delete(listener);
      if (joined.listeners.size === 0) this.#drop(joined);
    };
    return { deliveredSeq: joined.deliveredSeq, unsubscribe };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#stream?.end();
    await this.#loop;
  }

  #create(feed: Feed): void {
    const cursor = {
      $typeName: "atoll.session.v1.Cursor" as const,
      logId: feed.logId,
      afterSeq: BigInt(feed.deliveredSeq),
    };
    this.#stream?.offer({
      frame: {
        case: "create",
        value: {
          $typeName: "atoll.session.v1.WatchCreate",
          watchId: feed.watchId,
          target: { case: "sessionId", value: feed.sessionId },
          cursor,
        },
      },
    });
  }

  async #createLater(feed: Feed): Promise<void> {
    const stream = this.#stream;
    try {
      await feed.redial.wait(this.#stop.signal);
    } catch {
      return;
    }
    // A new stream has asked for all feeds already.
    if (stream === this.#stream && this.#byWatch.get(feed.watchId) === feed) this.#create(feed);
  }

  #drop(feed: Feed): void {
    if (!this.#byWatch.delete(feed.watchId)) return;
    if (this.#feeds.get(feed.sessionId) === feed) this.#feeds.delete(feed.sessionId);
    this.#stream?.offer({
      frame: { case: "cancel", value: { $typeName: "atoll.session.v1.WatchCancel", watchId: feed.watchId } },
    });
  }

  async #watchForEver(): Promise<void> {
    const redial = new Redial(this.#deps.clock);
    while (!this.#stop.signal.aborted) {
      try {
        await this.#watchOnce(() => redial.reached());
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#deps.log.warn({ error: String(error) }, "watching sessions broke; trying again");
      }
      this.#stream = undefined;
      try {
        await redial.wait(this.#stop.signal);
      } catch {
        return;
      }
    }
  }

  async #watchOnce(onFrame: () => void): Promise<void> {
    const stream = new FrameQueue<{ frame: WatchFrame }>();
    this.#stream = stream;
    for (const feed of this.#feeds.values()) this.#create(feed);
    const options: CallOptions = { contextValues: callValues(this.#principal, ""), signal: this.#stop.signal };
    try {
      for await (const { frame } of this.#deps.session.watch(stream, options)) {
        onFrame();
        if (frame.case === "batch") this.#hear(frame.value);
        else if (frame.case === "progress") this.#served(this.#byWatch.get(frame.value.watchId));
        else if (frame.case === "cancelled") this.#ended(frame.value);
      }
    } finally {
      stream.end();
    }
  }

  #hear(batch: RawEventBatch): void {
    const feed = this.#byWatch.get(batch.watchId);
    if (feed === undefined) return;
    this.#served(feed);
    const events: StoredEvent[] = batch.events.map((bytes) => ({ ...readEventRange(bytes), bytes }));
    feed.deliveredSeq = events.at(-1)?.seq ?? feed.deliveredSeq;
    feed.logId = batch.logId;
    const slice: LogSlice = { logId: batch.logId, events, headSeq: Number(batch.headSeq) };
    for (const listener of feed.listeners) listener(slice);
  }

  #served(feed: Feed | undefined): void {
    if (feed === undefined) return;
    feed.redial.reached();
    feed.isRefused = false;
  }

  /**
   * A feed is asked for again as long as it has readers. One whose place is void goes on from the head that the refusal
   * names; its readers read the log, where they find out whether theirs is void as well. Those of a session that is gone
   * find that out, and the feed ends.
   */
  #ended({ watchId, code, reason, message, metadata }: WatchCancelled): void {
    const feed = this.#byWatch.get(watchId);
    if (feed === undefined || code === 0) return;
    const { sessionId } = feed;
    if (!feed.isRefused)
      this.#deps.log.warn({ sessionId, code, reason: reasonName(reason), message }, "a watch was ended");
    feed.isRefused = true;
    if (code === Code.OutOfRange) {
      feed.logId = metadata["log_id"] ?? feed.logId;
      feed.deliveredSeq = Number(metadata["head_seq"] ?? feed.deliveredSeq);
    }
    if (code === Code.NotFound) {
      this.#byWatch.delete(watchId);
      if (this.#feeds.get(sessionId) === feed) this.#feeds.delete(sessionId);
    } else {
      void this.#createLater(feed);
    }
    if (code !== Code.OutOfRange && code !== Code.NotFound) return;
    for (const listener of feed.listeners) listener({ logId: feed.logId, events: [], headSeq: feed.deliveredSeq });
  }
}

export class SessionHub {
  readonly #deps: GatewayDeps;
  readonly #tenants = new Map<string, TenantHub>();

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
  }

  /** See TailSource.subscribe. A feed that is made for this reader begins at `headSeq`, the head that it knows. */
  subscribe(
    session: { readonly tenant: string; readonly sessionId: string; readonly logId: string },
    headSeq: number,
    listener: (slice: LogSlice) => void,
  ): ReturnType<TailSource["subscribe"]> {
    let hub = this.#tenants.get(session.tenant);
    if (hub === undefined) {
      hub = new TenantHub(this.#deps, session.tenant);
      this.#tenants.set(session.tenant, hub);
    }
    return hub.subscribe(session.sessionId, session.logId, headSeq, listener);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#tenants.values()].map((hub) => hub.close()));
  }
}
