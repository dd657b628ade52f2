/**
 * The clients of a chaos run, in a process of their own: writers and readers, each with its own history file.
 *
 * `workload.ts <JSON of WorkloadOptions>`. It writes until it hears `stop` on standard input, then waits until its runs
 * have ended and its readers have read to the head, prints `done` and ends.
 */
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { transportTo } from "../../support/mesh-process.ts";
import { createRandom } from "../random.ts";
import { Reader, type ReaderKind } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface WorkloadOptions {
  readonly gatewayUrls: readonly string[];
  readonly token: string;
  readonly folder: string;
  readonly seed: number;
  readonly sessions: number;
  readonly eventsPerRun: number;
  /** Writing ends when so many runs are known to be there, over all sessions. */
  readonly runs: number;
  readonly modes: readonly string[];
}

const readerKinds: readonly ReaderKind[] = ["plain", "slow", "filtered"];
const slowWindowBytes = 1_024;
const quietMs = 90_000;

const options = JSON.parse(process.argv[2] ?? "{}") as WorkloadOptions;
const random = createRandom(options.seed);
const clients = options.gatewayUrls.map((url) => createClient(GatewayService, transportTo(url, options.token)));
const sessions = options.gatewayUrls.map((url) => createClient(SessionService, transportTo(url, options.token)));
// So little fits on the way to them that the gateway feels it when they stop reading.
const slowClients = options.gatewayUrls.map((url) =>
  createClient(GatewayService, transportTo(url, options.token, slowWindowBytes)),
);
const accepted = new Set<string>();
const lanes = Array.from({ length: options.sessions }, (_, index) => {
  const readers = new Map<ReaderKind, Reader>();
  const writer = new Writer({
    name: `s${options.seed}-${index}`,
    clients,
    random: random.fork(),
    folder: options.folder,
    eventsPerRun: options.eventsPerRun,
    modes: options.modes,
    isEnough: () => accepted.size >= options.runs,
    onAccepted: (runId) => void accepted.add(runId),
    onSession(sessionId) {
      for (const kind of readerKinds) {
        const name = `s${options.seed}-${index}-${kind}`;
        readers.set(
          kind,
          new Reader({
            name,
            kind,
            sessionId,
            clients: kind === "slow" ? slowClients : clients,
            random: random.fork(),
            folder: options.folder,
          }),
        );
      }
    },
    isEnded: (runId) => [...readers.values()].some((reader) => reader.ended.has(runId)),
  });
  return { writer, readers };
});

const control = new AbortController();
createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "stop") control.abort();
});
await Promise.all(lanes.map(({ writer }) => writer.work(control.signal)));
process.stdout.write("written\n");
// The faults go on until the other side has stopped them; then all must come to rest within a bound.
await new Promise<void>((resolve) => {
  if (control.signal.aborted) resolve();
  else control.signal.addEventListener("abort", () => resolve(), { once: true });
});
const untilMs = performance.now() + quietMs;
await Promise.all(
  lanes.map(async ({ writer, readers }) => {
    await writer.rest(untilMs);
    const headSeq = await readHead(writer.sessionId, untilMs);
    await Promise.all([...readers.values()].map((reader) => reader.finish(headSeq, untilMs)));
  }),
);
process.stdout.write("done\n", () => process.exit(0));

/** The head of a session in which nothing runs any more, or the one of the moment when the time came. */
async function readHead(sessionId: string, untilMs: number): Promise<number> {
  if (sessionId === "") return 0;
  for (;;) {
    const by = { case: "sessionId", value: sessionId } as const;
    // A gateway that has just started may not have found the session service yet.
    const { session } = await random
      .pick(sessions)
      .getSession({ by })
      .catch(() => ({ session: undefined }));
    const isQuiet = session?.activeRunId === "" && session.queuedRuns === 0;
    if (isQuiet || performance.now() >= untilMs) return Number(session?.headSeq ?? 0n);
    await new Promise((settle) => setTimeout(settle, 100));
  }
}
