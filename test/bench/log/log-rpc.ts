/** Submits to the session service in a process of its own, over HTTP/2. */
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { createSessions, inFlight, newMessage, type RemoteSession } from "./remote-session.ts";
import { SliceRates } from "./slice-rates.ts";
import { openUnaryLoad } from "./unary-load.ts";

const connections = 4;

/** Until V8 has compiled what is hot. */
const warmUpMs = 5_000;

/**
 * Submits in a second, 64 in flight, and the processor time of one.
 *
 * On four connections, as four gateways would have: with one, client and service take turns, each waiting while the
 * other works through all 64.
 */
export async function measureRemoteSubmits(
  remote: RemoteSession,
  seconds: number,
): Promise<{ readonly perSecond: number; readonly cpuMs: number }> {
  // A session's queue is bounded: many sessions, so that no message is refused.
  const ids = await createSessions(remote, 400);
  let count = 0;
  const run = async (ms: number): Promise<{ readonly done: number; readonly perSecond: number }> => {
    const authorization = await remote.authorize();
    const loads = Array.from({ length: connections }, () =>
      openUnaryLoad(remote.url, SessionService.method.submitMessage, authorization),
    );
    const endMs = performance.now() + ms;
    const rates = new SliceRates();
    let done = 0;
    const lane = async ({ call }: (typeof loads)[number]): Promise<void> => {
      while (performance.now() < endMs) {
        const { runId } = await call(newMessage(ids[count++ % ids.length] ?? ""));
        if (runId === "") throw new Error("a message was taken without a run");
        done += 1;
        rates.note(1);
      }
    };
    await Promise.all(loads.flatMap((load) => Array.from({ length: inFlight / connections }, () => lane(load))));
    for (const { close } of loads) close();
    return { done, perSecond: rates.perSecond() };
  };
  await run(warmUpMs);
  const startedCpuMs = remote.cpuMs();
  const { done, perSecond } = await run(seconds * 1_000);
  return { perSecond, cpuMs: (remote.cpuMs() - startedCpuMs) / done };
}
