/**
 * MCP over the standard input and output of a child process (MCP 2025-11-25, Transports §stdio).
 *
 * Keeps T7: the child leads its own process group, which is ended with the connection however that ends; it sees only
 * the environment that it is given; one that floods (inbound-meter.ts) or does not read (outbox.ts) is ended.
 * Keeps L9: error output and unreadable lines are logged, and the reason of an exit is found among them.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { Clock, Timer } from "../../../kernel/clock.ts";
import type { Log } from "../../../kernel/log.ts";
import { Inbox } from "../inbox.ts";
import { LineSplitter } from "../line-splitter.ts";
import type { McpTarget } from "../mcp-connection.ts";
import { type McpTransport, maxMessageBytes, RequestFault } from "../mcp-transport.ts";
import { outboxFull } from "../outbox.ts";
import { ErrorOutput } from "./error-output.ts";
import { RecentLines } from "./exit-reason.ts";
import { InputQueue } from "./input-queue.ts";
import { endProcessGroup } from "./process-group.ts";

/** How long a child that exited may hold its output open (its own children may have it) before we stop reading. */
const drainAfterExitMs = 1_000;

type State =
  | { readonly kind: "new" }
  /** `drained` resolves when the child's output has been read to its end. */
  | { readonly kind: "running"; readonly child: ChildProcessWithoutNullStreams; readonly drained: Promise<void> }
  | { readonly kind: "over"; readonly ended: Promise<void> };

type Running = Extract<State, { kind: "running" }>;

export class StdioTransport implements McpTransport {
  onclose = (): void => undefined;
  onerror = (_error: Error): void => undefined;
  onmessage = (_message: JSONRPCMessage): void => undefined;
  onfault = (_request: RequestId, _fault: RequestFault): void => undefined;
  onactivity = (_request: RequestId): void => undefined;
  readonly #target: Extract<McpTarget, { kind: "stdio" }>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #lines = new LineSplitter(maxMessageBytes);
  readonly #recent: RecentLines;
  readonly #errorOutput: ErrorOutput;
  readonly #inbox: Inbox;
  readonly #input = new InputQueue();
  #state: State = { kind: "new" };
  #problem: string | undefined;
  /** Run while a server that says too much is not read. */
  readonly #pauses = new Set<Timer>();

  constructor(target: Extract<McpTarget, { kind: "stdio" }>, log: Log, clock: Clock) {
    this.#target = target;
    this.#log = log;
    this.#clock = clock;
    this.#recent = new RecentLines(clock);
    this.#errorOutput = new ErrorOutput(log, clock, (line) => this.#recent.add(line));
    // Many programs write their complaints to standard output.
    this.#inbox = new Inbox(this, clock, (line) => this.#recent.add(line));
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  get lastWords(): string {
    return this.#recent.reason();
  }

  setProtocolVersion(): void {}

  async start(): Promise<void> {
    const { command, args, cwd, env } = this.#target;
    const folder = await stat(cwd).catch(() => undefined);
    // Node reports a missing folder as a missing program.
    if (!folder?.isDirectory()) throw new Error(`its working folder ${cwd} does not exist`);
    if (this.#state.kind === "over") throw new Error("it was stopped while it was starting");
    const child = spawn(command, args, { cwd, env, detached: process.platform !== "win32", windowsHide: true });
    const spawned = Promise.withResolvers<void>();
    child.once("spawn", spawned.resolve);
    child.once("error", spawned.reject);
    const closed = Promise.withResolvers<void>();
    child.once("close", () => closed.resolve());
    const running = { kind: "running", child, drained: closed.promise } as const;
    this.#state = running;
    await spawned.promise;
    child.on("error", (error) => this.onerror(error));
    child.stdin.on("error", (error) => this.onerror(error));
    child.stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    child.stderr.on("data", (chunk: Buffer) => this.#readErrors(child.stderr, chunk));
    child.once("exit", (code, signal) => void this.#exited(running, code, signal));
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const state = this.#state;
    if (state.kind !== "running") throw new RequestFault("not-sent", this.#problem ?? "it is not running");
    const id = "method" in message && "id" in message ? message.id : undefined;
    this.#inbox.expect(message);
    const written = this.#input.write(state.child.stdin, `${JSON.stringify(message)}\n`, id);
    if (written !== undefined) return await written;
    const fault = new RequestFault("not-sent", outboxFull);
    // Before the end, which takes every call in flight for lost.
    if (id !== undefined) this.onfault(id, fault);
    this.#end(outboxFull);
    throw fault;
  }

  async close(): Promise<void> {
    this.#end(undefined);
    if (this.#state.kind === "over") await this.#state.ended;
  }

  #read(chunk: Buffer): void {
    if (this.#state.kind !== "running") return;
    const { meter } = this.#inbox;
    meter.countBytes(chunk.length);
    for (const line of this.#lines.push(chunk)) {
      if (typeof line !== "string") this.#inbox.receiveLong(line);
      else this.#inbox.receive(line, Buffer.byteLength(line));
    }
    const { stdout } = this.#state.child;
    if (meter.problem !== undefined) {
      stdout.destroy();
      this.#end(meter.problem);
    } else if (meter.pauseMs > 0) this.#pauseReading(stdout, meter.pauseMs);
  }

  #readErrors(stderr: Readable, chunk: Buffer): void {
    this.#errorOutput.push(chunk);
    if (this.#errorOutput.pauseMs > 0) this.#pauseReading(stderr, this.#errorOutput.pauseMs);
  }

  #pauseReading(output: Readable, forMs: number): void {
    output.pause();
    const pause = this.#clock.setTimer(forMs, () => {
      this.#pauses.delete(pause);
      output.resume();
    });
    this.#pauses.add(pause);
  }

  async #exited({ drained }: Running, code: number | null, signal: string | null): Promise<void> {
    await Promise.race([drained, this.#clock.sleep(drainAfterExitMs)]);
    this.#errorOutput.end();
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
    const reason = this.#recent.reason();
    this.#end(reason === "" ? how : `${how}: ${reason}`);
  }

  #end(problem: string | undefined): void {
    const state = this.#state;
    if (state.kind === "over") return;
    this.#problem = problem;
    for (const pause of this.#pauses) pause.cancel();
    const unsent = problem ?? "the connection was closed";
    for (const id of this.#input.giveUp(unsent)) this.onfault(id, new RequestFault("not-sent", unsent));
    const ended = state.kind === "running" ? this.#endChild(state) : Promise.resolve();
    this.#state = { kind: "over", ended };
    this.onclose();
  }

  async #endChild({ child, drained }: Running): Promise<void> {
    child.stdin.end();
    // Nobody reads on: whoever says too much must not cost more while it ends.
    for (const output of [child.stdout, child.stderr]) if (output.isPaused()) output.destroy();
    await endProcessGroup(child, this.#clock);
    await Promise.race([drained, this.#clock.sleep(drainAfterExitMs)]);
    child.stdout.destroy();
    child.stderr.destroy();
    this.#errorOutput.end();
    this.#log.debug({ pid: child.pid }, "an MCP server's processes have ended");
  }
}
