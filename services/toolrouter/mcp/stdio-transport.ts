/**
 * MCP over the standard input and output of a child process (MCP 2025-11-25, Transports §stdio).
 *
 * Keeps T7: the child leads its own process group, which is ended with the connection however that ends; it sees only
 * the environment that it is given; a line over 4 MiB ends it. Keeps L9: error output and unreadable lines are logged.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import { escapeHidden } from "../escape-hidden.ts";
import { ErrorOutput } from "./error-output.ts";
import { LineSplitter } from "./line-splitter.ts";
import type { McpTarget } from "./mcp-connection.ts";
import { type McpTransport, maxMessageBytes, NotSent } from "./mcp-transport.ts";
import { endProcessGroup } from "./process-group.ts";
import { readMessage } from "./read-message.ts";

/** How long a child that exited may hold its output open (its own children may have it) before we stop reading. */
const drainAfterExitMs = 1_000;
const shownLineLength = 200;

type State =
  | { readonly kind: "new" }
  /** `drained` resolves when the child's output has been read to its end. */
  | { readonly kind: "running"; readonly child: ChildProcessWithoutNullStreams; readonly drained: Promise<void> }
  | { readonly kind: "over"; readonly ended: Promise<void> };

type Running = Extract<State, { kind: "running" }>;

export class StdioTransport implements McpTransport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #target: Extract<McpTarget, { kind: "stdio" }>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #lines = new LineSplitter(maxMessageBytes);
  readonly #errorOutput: ErrorOutput;
  #state: State = { kind: "new" };
  #problem: string | undefined;

  constructor(target: Extract<McpTarget, { kind: "stdio" }>, log: Log, clock: Clock) {
    this.#target = target;
    this.#log = log;
    this.#clock = clock;
    this.#errorOutput = new ErrorOutput(log, clock);
  }

  get problem(): string | undefined {
    return this.#problem;
  }

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
    child.on("error", (error) => this.onerror?.(error));
    child.stdin.on("error", (error) => this.onerror?.(error));
    child.stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    child.stderr.on("data", (chunk: Buffer) => this.#errorOutput.push(chunk));
    child.once("exit", (code, signal) => void this.#exited(running, code, signal));
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const state = this.#state;
    if (state.kind !== "running") throw new NotSent(this.#problem ?? "it is not running");
    const written = Promise.withResolvers<void>();
    state.child.stdin.write(`${JSON.stringify(message)}\n`, (error) =>
      error ? written.reject(error) : written.resolve(),
    );
    await written.promise;
  }

  async close(): Promise<void> {
    this.#end(undefined);
    if (this.#state.kind === "over") await this.#state.ended;
  }

  #read(chunk: Buffer): void {
    if (this.#state.kind !== "running") return;
    try {
      for (const line of this.#lines.push(chunk)) this.#receive(line);
    } catch {
      this.#end(`it sent a line of more than ${maxMessageBytes} bytes`);
    }
  }

  #receive(line: string): void {
    if (line.trim() === "") return;
    let message: JSONRPCMessage;
    try {
      message = readMessage(JSON.parse(line));
    } catch {
      const start = escapeHidden(line.slice(0, shownLineLength));
      this.onerror?.(new Error(`it wrote a line to its output that is no JSON-RPC message: ${start}`));
      return;
    }
    this.onmessage?.(message);
  }

  async #exited({ drained }: Running, code: number | null, signal: string | null): Promise<void> {
    await Promise.race([drained, this.#clock.sleep(drainAfterExitMs)]);
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
    const last = this.#errorOutput.lastLine;
    this.#end(last === "" ? how : `${how}: ${last}`);
  }

  #end(problem: string | undefined): void {
    const state = this.#state;
    if (state.kind === "over") return;
    this.#problem = problem;
    const ended = state.kind === "running" ? this.#endChild(state) : Promise.resolve();
    this.#state = { kind: "over", ended };
    this.onclose?.();
  }

  async #endChild({ child, drained }: Running): Promise<void> {
    child.stdin.end();
    await endProcessGroup(child, this.#clock);
    await Promise.race([drained, this.#clock.sleep(drainAfterExitMs)]);
    child.stdout.destroy();
    child.stderr.destroy();
    this.#errorOutput.end();
    this.#log.debug({ pid: child.pid }, "an MCP server's processes have ended");
  }
}
