// A stream whose answer is over before its request: a client that reads slowly hears all of it, its end included.
import { createClient, type Transport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { defaultListenerLimits } from "../listener/listener-limits.ts";
import { administrator, onBehalfOf, type ServedRpcs, served, serveRpcs } from "../served-rpcs.fixture.ts";

const frames = 5;

const serve = (limits = defaultListenerLimits, readsRequest = true): Promise<ServedRpcs> =>
  serveRpcs(
    [
      served(SessionService, {
        async *watch(requests) {
          if (readsRequest) await requests[Symbol.asyncIterator]().next();
          for (let frame = 0; frame < frames; frame++) yield { frame: { case: "progress", value: {} } };
        },
      }),
    ],
    { limits },
  );

/** Says one thing and nothing more until it has read all. */
async function read(transport: Transport, pauseMs: number): Promise<number> {
  const over = Promise.withResolvers<void>();
  async function* requests() {
    yield { frame: { case: "cancel" as const, value: { watchId: 1n } } };
    await over.promise;
  }
  let heard = 0;
  for await (const _ of createClient(SessionService, transport).watch(requests(), onBehalfOf(administrator))) {
    heard += 1;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  over.resolve();
  return heard;
}

describe("a stream that the server ends", () => {
  it.each([
    ["Connect", "read", true],
    ["Connect", "not read", false],
    ["gRPC", "read", true],
    ["gRPC", "not read", false],
  ] as const)(
    `is read to its end by a slow reader over %s, its request %s ${verifies("S1")}`,
    async (protocol, _, readsRequest) => {
      const { connect } = await serve(defaultListenerLimits, readsRequest);
      expect(await read(connect(protocol), 40)).toBe(frames);
    },
  );

  it(`is read to its end over a hop, however late ${verifies("S1")}`, async () => {
    const { remote } = await serve();
    expect(await read(remote, 1_000)).toBe(frames);
  });

  it(`keeps no stream of a connection that has few left, and a hop reads to the end all the same ${verifies("L7")}`, async () => {
    const { remote } = await serve({ ...defaultListenerLimits, maxConcurrentStreams: 20 });
    for (let round = 0; round < 4; round++) {
      expect(await Promise.all(Array.from({ length: 8 }, () => read(remote, 40)))).toEqual(Array(8).fill(frames));
    }
  });
});
