import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { WatchCreateSchema } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { systemClock } from "../../kernel/clock.ts";
import { collectGarbage } from "../../kernel/collect-garbage.fixture.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import type { SessionDeps } from "../session-deps.ts";
import { watchLog } from "./watch-log.ts";

/** A log of 20 events of which each reading makes a page of its own, and what the test can still see of the pages. */
function pagedLog() {
  const given: WeakRef<ArrayBuffer>[] = [];
  const readEvents = async (_scope: unknown, _sessionId: string, { afterSeq }: { readonly afterSeq: number }) => {
    const page = new Uint8Array(200_000);
    const events: StoredEvent[] = [];
    for (let seq = afterSeq + 1; seq <= 20; seq++) {
      events.push({ firstSeq: seq, seq, bytes: page.subarray((seq - 1) * 10_000, seq * 10_000) });
    }
    if (events.length > 0) given.push(new WeakRef(page.buffer));
    return { kind: "page", logId: "log_1", headSeq: 20, oldestSeq: 1, events };
  };
  const deps = {
    store: { readEvents },
    clock: systemClock,
    settings: { progressIntervalMs: 20 },
    bus: { subscribe: () => () => undefined },
  } as unknown as SessionDeps;
  return { deps, given };
}

describe("a watcher of a log", () => {
  it(`holds nothing of what it gave out, while it waits for more ${verifies("L7")}`, async () => {
    const { deps, given } = pagedLog();
    const control = new AbortController();
    const scope = { tenant: "local", principal: "user:ada" };
    const watcher = watchLog(deps, scope, "ses_1", create(WatchCreateSchema, { watchId: 1n }), control.signal);
    const cases: (string | undefined)[] = [];
    const reading = (async () => {
      for await (const frame of watcher) cases.push(frame.case);
    })();
    // After a sign of life nothing of the page stands in a frame any more.
    await expect.poll(() => cases.length).toBeGreaterThan(5);
    expect(cases.slice(0, 3)).toEqual(["created", "batch", "progress"]);
    await collectGarbage();
    expect(given.map((page) => page.deref())).toEqual([undefined]);
    control.abort();
    await reading;
  });
});
