/**
 * A writer of one session: each request 1–5 times at once through all gateways, some answers cut off, until one says
 * what became of it; some once more much later, which must give the same answer (R1). Everything that it knows stands in its history before it acts on it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { QueueMode } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { type History, openHistory, type WriterRecord } from "../history.ts";
import type { Random } from "../random.ts";

export interface WriterOptions {
  readonly name: string;
  readonly clients: readonly Client<typeof GatewayService>[];
  readonly random: Random;
  readonly folder: string;
  /** On average. */
  readonly eventsPerRun: number;
  readonly modes: readonly string[];
  /** Whether all writers together have written enough. */
  readonly isEnough: () => boolean;
  /** Several requests may name one run. */
  readonly onAccepted: (runId: string) => void;
  readonly onSession: (sessionId: string) => void;
  readonly isEnded: (runId: string) => boolean;
}

type Answer = Extract<WriterRecord, { kind: "answer" }>;
type Request = Parameters<Client<typeof GatewayService>["sendMessage"]>[0] & { readonly requestId: string };

const modes: Readonly<Record<string, QueueMode>> = {
  followup: QueueMode.FOLLOWUP,
  steer: QueueMode.STEER,
  collect: QueueMode.COLLECT,
  interrupt: QueueMode.INTERRUPT,
};
/** Runs of its session that have not ended; the service bounds them at 100. */
const mostPending = 4;
/** Accepted requests that a writer may send once more. */
const mostRepeatable = 16;
const tokenDelayMs = 12;
/** Runs that call a tool have a dozen events. With these, the mean over all runs is the one that was asked for. */
const tokensPerEvent = 1.3;
/** About 50 KB. */
const ballastWords = 4_500;
/** Codes after which the same request is sent again. */
const unclear: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Aborted,
  Code.Unknown,
  Code.Internal,
  Code.ResourceExhausted,
]);

export class Writer {
  readonly #options: WriterOptions;
  readonly #history: History<WriterRecord>;
  readonly #pending = new Set<string>();
  readonly #repeatable: Request[] = [];
  #sent = 0;
  /** Empty until the first answer. */
  sessionId = "";

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#history = openHistory(`${options.folder}/writer-${options.name}.jsonl`);
  }

  async work(signal: AbortSignal): Promise<void> {
    const { random, isEnough } = this.#options;
    while (!signal.aborted && !isEnough()) {
      await this.#send(signal);
      await this.#repeat();
      this.#forgetEnded();
      while (this.#pending.size >= mostPending && !signal.aborted) {
        await sleep(20);
        this.#forgetEnded();
      }
      // Mostly one after the other, sometimes into a run that is under way.
      if (random.chance(0.6)) await this.#waitForAll(signal);
      else await sleep(random.between(0, 300));
    }
  }

  /** Waits until the session's runs have ended; what has not by then is for the checker to judge. */
  async rest(untilMs: number): Promise<void> {
    while (this.#pending.size > 0 && performance.now() < untilMs) {
      await sleep(100);
      this.#forgetEnded();
    }
    this.#history.close();
  }

  async #waitForAll(signal: AbortSignal): Promise<void> {
    while (this.#pending.size > 0 && !signal.aborted) {
      await sleep(20);
      this.#forgetEnded();
    }
  }

  #forgetEnded(): void {
    for (const runId of this.#pending) if (this.#options.isEnded(runId)) this.#pending.delete(runId);
  }

  async #send(signal: AbortSignal): Promise<void> {
    const { name, random, eventsPerRun } = this.#options;
    const mark = `${name}-m${this.#sent++}`;
    const requestId = `${name}-r${this.#sent}`;
    const mode = random.pick(this.#options.modes);
    const task = random.chance(0.3)
      ? `${this.#toolCall(mark)} delay=${tokenDelayMs}`
      : `tokens=${Math.round(eventsPerRun * tokensPerEvent)} delay=${tokenDelayMs}`;
    const key = `agent:main:${name}`;
    this.#history.write({ kind: "send", requestId, key, mark, mode });
    const request: Request = {
      requestId,
      session: { case: "sessionKey" as const, value: key },
      message: {
        content: [{ block: { case: "text" as const, value: { text: `${mark} ${task}${this.#ballast()}` } } }],
      },
      queueMode: modes[mode] ?? QueueMode.FOLLOWUP,
    };
    for (;;) {
      const copies = random.chance(0.5) ? 1 : random.between(2, 5);
      const answers = await Promise.all(Array.from({ length: copies }, () => this.#sendOnce(request)));
      // A copy may be refused while another one is accepted; then there is a run to wait for.
      const answer = answers.find((each) => each?.kind === "answer") ?? answers.find((each) => each !== undefined);
      if (answer !== undefined) {
        if (answer.kind === "answer") {
          this.#repeatable.push(request);
          if (this.#repeatable.length > mostRepeatable) this.#repeatable.shift();
          await this.#accepted(answer);
        }
        return;
      }
      if (signal.aborted) return;
      await sleep(random.between(20, 300));
    }
  }

  /** Sends a request again that was accepted long ago, perhaps before the services were killed. */
  async #repeat(): Promise<void> {
    const { random } = this.#options;
    if (this.#repeatable.length > 0 && random.chance(0.3)) await this.#sendOnce(random.pick(this.#repeatable));
  }

  /** Some messages are large, so that slow readers' ways fill up; nothing that compression makes small. */
  #ballast(): string {
    const { random } = this.#options;
    if (!random.chance(0.1)) return "";
    return ` ${Array.from({ length: ballastWords }, () => random.next().toString(36).slice(2)).join("")}`;
  }

  /** Some calls answer at once, some are under way for so long that faults fall into them. */
  #toolCall(mark: string): string {
    const { random } = this.#options;
    if (random.chance(0.5)) return `call recorder.echo {"text":"${mark}"}`;
    return `call recorder.slow {"ms":${random.between(100, 1_000)},"text":"${mark}"}`;
  }

  async #accepted(answer: Answer): Promise<void> {
    const { random, clients, onAccepted, onSession } = this.#options;
    if (this.sessionId === "") {
      this.sessionId = answer.sessionId;
      onSession(answer.sessionId);
    }
    this.#pending.add(answer.runId);
    onAccepted(answer.runId);
    if (!random.chance(0.04)) return;
    await sleep(random.between(0, 200));
    this.#history.write({ kind: "cancel", runId: answer.runId });
    await random
      .pick(clients)
      .cancelRun({ requestId: `${answer.requestId}-cancel`, runId: answer.runId }, { timeoutMs: 2_000 })
      .catch(() => undefined);
  }

  /** One copy; undefined when nothing is known of what became of it. */
  async #sendOnce(request: Request): Promise<Extract<WriterRecord, { kind: "answer" | "refused" }> | undefined> {
    const { random, clients } = this.#options;
    // Some give up before the answer is there.
    const timeoutMs = random.chance(0.2) ? random.between(1, 30) : 5_000;
    try {
      const response = await random.pick(clients).sendMessage(request, { timeoutMs });
      const { sessionId, runId, messageId, logId } = response;
      const record = { kind: "answer" as const, requestId: request.requestId, sessionId, runId, messageId, logId };
      const answer: Answer = { ...record, seq: Number(response.seq) };
      this.#history.write(answer);
      return answer;
    } catch (error) {
      const failed = ConnectError.from(error);
      const { code, rawMessage } = failed;
      const cause = failed.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
      // The mesh's own word that it failed is for the judge; without it, it is a client's way to say that an answer broke off.
      if (unclear.has(code) && cause !== "INTERNAL") return undefined;
      const refused = {
        kind: "refused" as const,
        requestId: request.requestId,
        cause,
        reason: `${Code[code]}: ${rawMessage}`,
      };
      this.#history.write(refused);
      return refused;
    }
  }
}
