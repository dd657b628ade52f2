// What one hop carries for many callers: none of them stands in another's way, and none that leaves takes others along.
import { type Client, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { FrameQueue } from "../../stream/frame-queue.ts";
import { defaultListenerLimits, type ListenerLimits, limitsOfHops } from "../listener/listener-limits.ts";
import { administrator, onBehalfOf, served, serveRpcs } from "../served-rpcs.fixture.ts";
import { RawSessionService } from "./raw-session-service.ts";

/** A session service whose runs never end, behind a real listener, and one hop to it. */
async function openHop(limits: ListenerLimits) {
  let waiting = 0;
  const gone = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  const rpcs = await serveRpcs(
    [
      served(SessionService, {
        getSession: () => ({}),
        async waitRun(_request, { signal }) {
          waiting += 1;
          await gone(signal);
          waiting -= 1;
          return {};
        },
        async *watch(_requests, { signal }) {
          yield {};
          await gone(signal);
        },
      }),
    ],
    { limits },
  );
  return { client: createClient(SessionService, rpcs.remote), waiting: () => waiting };
}

type Hop = Awaited<ReturnType<typeof openHop>>;

const asSomebody = onBehalfOf(administrator);
const getSession = ({ client }: Hop) =>
  client.getSession({ by: { case: "sessionId", value: "ses_1" } }, { ...asSomebody, timeoutMs: 5_000 });

/** Callers that wait for a run until they leave. */
function wait({ client }: Hop, count: number): { readonly leave: () => Promise<unknown> } {
  const control = new AbortController();
  const options = { ...asSomebody, signal: control.signal };
  const calls = Array.from({ length: count }, () => client.waitRun({ runId: "run_1" }, options).catch(() => undefined));
  return {
    leave() {
      control.abort();
      return Promise.all(calls);
    },
  };
}

/** Watches until the test says that it is enough. */
async function watch(client: Client<typeof SessionService>) {
  const requests = new FrameQueue<{ frame: { case: "cancel"; value: { watchId: bigint } } }>();
  const control = new AbortController();
  const frames = client.watch(requests, { ...asSomebody, signal: control.signal })[Symbol.asyncIterator]();
  await frames.next();
  let state = "open";
  void frames.next().then(
    () => {
      state = "ended";
    },
    (error: unknown) => {
      state = String(error);
    },
  );
  return { state: () => state, leave: () => control.abort() };
}

describe("a hop", () => {
  it(`answers at once, and watches, beside more callers that wait than a connection has streams ${verifies("L7")}`, async () => {
    const hop = await openHop({ ...defaultListenerLimits, maxConcurrentStreams: 10 });
    const callers = wait(hop, 20);
    await expect.poll(hop.waiting).toBe(10);
    await getSession(hop);
    const watches = await Promise.all(Array.from({ length: 9 }, () => watch(hop.client)));
    await getSession(hop);
    for (const { leave } of watches) leave();
    await callers.leave();
  });

  it("carries a thousand callers that wait at once to a service of the mesh", async () => {
    const hop = await openHop(limitsOfHops(defaultListenerLimits));
    const callers = wait(hop, 1_000);
    await expect.poll(hop.waiting, { timeout: 20_000 }).toBe(1_000);
    await getSession(hop);
    await callers.leave();
    await expect.poll(hop.waiting).toBe(0);
    // The connection is the one that it was: the next ones find it.
    const next = wait(hop, 1);
    await expect.poll(hop.waiting).toBe(1);
    await next.leave();
  });

  it("outlives callers that leave by the hundreds, with all others on it", async () => {
    const hop = await openHop(limitsOfHops(defaultListenerLimits));
    const watching = await watch(hop.client);
    const patient = wait(hop, 1);
    await expect.poll(hop.waiting).toBe(1);
    for (let wave = 0; wave < 10; wave += 1) {
      const callers = wait(hop, 100);
      await expect.poll(hop.waiting).toBe(101);
      await callers.leave();
      await expect.poll(hop.waiting).toBe(1);
    }
    await getSession(hop);
    expect(watching.state()).toBe("open");
    watching.leave();
    await patient.leave();
  });

  it("carries a hundred pages of a megabyte at once", async () => {
    const page = { events: [new Uint8Array(1_000_000)], logId: "log_1", headSeq: 1n, oldestSeq: 1n, nextPageToken: "" };
    const handlers = served(RawSessionService, { getSnapshot: () => page });
    const { remote } = await serveRpcs([handlers], { limits: limitsOfHops(defaultListenerLimits) });
    const client = createClient(RawSessionService, remote);
    // The pages of the first ones wait to be sent while the next ones are asked for.
    const readPages = async () => {
      for (let pageNo = 0; pageNo < 3; pageNo += 1) {
        const { events } = await client.getSnapshot({ sessionId: "ses_1" }, { ...asSomebody, timeoutMs: 55_000 });
        expect(events[0]).toHaveLength(1_000_000);
      }
    };
    await Promise.all(Array.from({ length: 100 }, readPages));
  });
});
