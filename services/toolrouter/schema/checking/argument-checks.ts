/**
 * Checks arguments against a tool's schema before its server sees them, without holding up anybody else.
 *
 * A check that is surely short is made at once: a small schema, and arguments along which it takes few steps. Every other
 * one is made by a worker thread with a deadline. Keeps F4: two threads at most, and a server has one of them at a time;
 * 32 checks wait, four of one server; 200 small schemas stay compiled.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Clock } from "../../../kernel/clock.ts";
import type { Log } from "../../../kernel/log.ts";
import { type CheckEnd, CheckWorker, checkTimeoutMs, compileTimeoutMs } from "./check-worker.ts";
import type { ArgumentCheck, CompiledSchema } from "./compile-schema.ts";
import { isCheapToCheck } from "./estimate-check.ts";

/** Subschemas: compiling so many takes some 20 ms. */
const maxPartsAtOnce = 60;
/** Some milliseconds. */
const maxStepsAtOnce = 30_000;
const maxCompiled = 200;
const maxWorkers = 2;
const maxWaiting = 32;
const maxWaitingOfServer = 4;
const maxRememberedSchemas = 1_000;
/** A busy machine may have been the reason. */
const retrySchemaMs = 60_000;

/** A schema that was mended when its tool was listed. */
export interface CheckedSchema {
  readonly server: string;
  /** Equal hashes, equal schemas. */
  readonly hash: string;
  readonly schema: JsonObject;
  /** How many subschemas it has. */
  readonly parts: number;
}

export type CheckOutcome =
  | ArgumentCheck
  /** Nobody knows whether the arguments fit: the check took too long. `problem` is a sentence. */
  | { readonly kind: "too-costly"; readonly problem: string }
  /** Too many checks wait. */
  | { readonly kind: "busy"; readonly limit: number };

interface Waiting {
  readonly schema: CheckedSchema;
  readonly args: JsonObject;
  readonly end: (outcome: CheckOutcome) => void;
}

export class ArgumentChecks {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #compiled = new Map<string, CompiledSchema>();
  /** Hashes of schemas that could not be compiled in time → when that was, by the monotonic clock. */
  readonly #tooCostly = new Map<string, number>();
  readonly #idle: CheckWorker[] = [];
  /** Worker → the server that it works for. */
  readonly #busy = new Map<CheckWorker, string>();
  #waiting: Waiting[] = [];
  #isClosed = false;

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Never rejects. The arguments are JSON of bounded depth. */
  async check(schema: CheckedSchema, args: JsonObject): Promise<CheckOutcome> {
    const { hash, parts } = schema;
    if (parts <= maxPartsAtOnce && isCheapToCheck(schema.schema, args, maxStepsAtOnce)) {
      const compiled = this.#compiled.get(hash) ?? (await compile(schema));
      this.#keep(hash, compiled);
      return compiled.kind === "usable" ? compiled.check(args) : { kind: "broken-schema", problem: compiled.problem };
    }
    const triedAtMs = this.#tooCostly.get(hash);
    if (triedAtMs !== undefined && this.#clock.monotonicMs() - triedAtMs < retrySchemaMs) return slowSchema;
    const ofServer = this.#waiting.filter((waiting) => waiting.schema.server === schema.server).length;
    if (ofServer >= maxWaitingOfServer) return { kind: "busy", limit: maxWaitingOfServer };
    if (this.#waiting.length >= maxWaiting || this.#isClosed) return { kind: "busy", limit: maxWaiting };
    const { promise, resolve } = Promise.withResolvers<CheckOutcome>();
    this.#waiting.push({ schema, args, end: resolve });
    this.#handOut();
    return await promise;
  }

  /** Ends the threads; what waits is refused. */
  close(): void {
    this.#isClosed = true;
    for (const { end } of this.#waiting.splice(0)) end({ kind: "busy", limit: 0 });
    for (const worker of [...this.#idle, ...this.#busy.keys()]) worker.close();
  }

  #keep(hash: string, compiled: CompiledSchema): void {
    this.#compiled.delete(hash);
    const oldest = this.#compiled.keys().next();
    if (this.#compiled.size >= maxCompiled && !oldest.done) this.#compiled.delete(oldest.value);
    this.#compiled.set(hash, compiled);
  }

  #handOut(): void {
    for (;;) {
      const servers = new Set(this.#busy.values());
      const next = this.#waiting.find(({ schema }) => !servers.has(schema.server));
      if (next === undefined || this.#busy.size >= maxWorkers) return;
      this.#waiting = this.#waiting.filter((each) => each !== next);
      const worker = this.#idle.pop() ?? this.#startWorker();
      this.#busy.set(worker, next.schema.server);
      void this.#work(worker, next);
    }
  }

  #startWorker(): CheckWorker {
    const worker: CheckWorker = new CheckWorker(this.#clock, () => {
      const index = this.#idle.indexOf(worker);
      if (index !== -1) this.#idle.splice(index, 1);
    });
    return worker;
  }

  async #work(worker: CheckWorker, { schema, args, end }: Waiting): Promise<void> {
    const ended = await worker.run({
      hash: schema.hash,
      schema: JSON.stringify(schema.schema),
      args: JSON.stringify(args),
    });
    this.#busy.delete(worker);
    if (ended.kind === "checked") this.#idle.push(worker);
    else worker.close();
    end(this.#judge(schema, ended));
    this.#handOut();
  }

  #judge({ server, hash }: CheckedSchema, ended: CheckEnd): CheckOutcome {
    switch (ended.kind) {
      case "checked":
        return ended.check;
      case "failed":
        this.#log.error({ problem: ended.problem }, "arguments can't be checked: the thread for it does not run");
        return { kind: "too-costly", problem: "the arguments could not be checked; try again" };
      case "late":
        this.#log.warn({ mcpServer: server, while: ended.while }, "a check of arguments took too long and was ended");
        if (ended.while === "checking") return slowCheck;
        if (this.#tooCostly.size >= maxRememberedSchemas) this.#tooCostly.clear();
        this.#tooCostly.set(hash, this.#clock.monotonicMs());
        return slowSchema;
    }
  }
}

const slowCheck = {
  kind: "too-costly",
  problem: `the arguments could not be checked within ${checkTimeoutMs} ms; make them smaller`,
} as const;
const slowSchema = {
  kind: "broken-schema",
  problem: `it can't be made ready within ${compileTimeoutMs} ms`,
} as const;

/** The compiler is loaded with the first schema. */
async function compile({ schema }: CheckedSchema): Promise<CompiledSchema> {
  const { compileSchema } = await import("./compile-schema.ts");
  return compileSchema(schema);
}
