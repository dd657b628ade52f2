/**
 * The gate of every tool call.
 *
 * Keeps L5: the intent is durable before the tool is called, the outcome before anybody is told.
 * Keeps T1: a call id is dispatched at most once; a call in doubt ends as unknown, unless the operator marked the tool.
 * Keeps T2: the router owns the call: it goes on when its caller is gone, and whoever comes with the same id joins it.
 * Keeps L7: at most 1 000 calls run, 100 of one server, so that one that hangs does not take the others' places.
 */
import { fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { ToolState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import {
  type CallContext,
  PolicyVerdict,
  type ToolCall,
  type ToolResult,
  ToolResultSchema,
} from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../../kernel/clock.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { roundNumbers } from "../../kernel/json/exact-json.ts";
import { type ReadArguments, readArguments } from "../../kernel/json/read-arguments.ts";
import type { Log } from "../../kernel/log.ts";
import type { BlobStore } from "../../kernel/store/blob-store.ts";
import { type FoundTool, findTool } from "../catalog/find-tool.ts";
import type { CatalogTool } from "../catalog/tool-catalog.ts";
import type { BeginOutcome, CallLedger, CallOwner } from "../ledger/call-ledger.ts";
import { decidePolicy, patternsOf } from "../policy/tool-policy.ts";
import type { ArgumentChecks, CheckOutcome } from "../schema/checking/argument-checks.ts";
import type { ToolServers } from "../servers/tool-servers.ts";
import { digestOf } from "./call-digest.ts";
import { type DispatchedCall, dispatchCall } from "./dispatch-call.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { RunningCall } from "./running-call.ts";
import { forgottenResult, inDoubtResult } from "./tool-result.ts";

const maxRunningCalls = 1000;
const maxRunningCallsOfServer = 100;

export interface CallGateDeps {
  readonly ledger: CallLedger;
  readonly blobs: BlobStore;
  readonly servers: ToolServers;
  readonly checks: ArgumentChecks;
  /** The tool patterns of each agent (tool-policy.ts). */
  readonly agentTools: ReadonlyMap<string, readonly string[]>;
  readonly log: Log;
  readonly clock: Clock;
  readonly instanceId: string;
}

/** What became of a call that was let through. */
export type Admitted =
  | { readonly kind: "running"; readonly call: RunningCall }
  | { readonly kind: "finished"; readonly result: ToolResult };

export class CallGate {
  readonly #deps: CallGateDeps;
  readonly #running = new Map<string, RunningCall>();
  readonly #admissions = new KeyedLock();

  constructor(deps: CallGateDeps) {
    this.#deps = deps;
  }

  /** Calls that run, and calls whose outcome the ledger could not take yet. */
  get runningCalls(): number {
    return this.#running.size;
  }

  /** Resolves when the calls that run have ended and the ledger was asked to take their outcomes. */
  async whenIdle(): Promise<void> {
    await Promise.allSettled([...this.#running.values()].map((call) => call.result()));
  }

  /**
   * Lets a call through, or finds the one that was made under its id. The signal ends only the wait for a server that is
   * starting. Errors, all before the intent is recorded: TOOL_NOT_FOUND, TOOL_UNUSABLE, TOOL_DENIED,
   * TOOL_ARGUMENTS_INVALID, TOOL_CHECK_TOO_COSTLY, APPROVAL_REQUIRED, SERVER_UNAVAILABLE, LIMIT_EXCEEDED; by the ledger: REQUEST_ID_REUSED, EPOCH_FENCED,
   * CALL_TOMBSTONED; StoreUnavailable.
   */
  async admit(scope: CallOwner, call: ToolCall, signal?: AbortSignal): Promise<Admitted> {
    const key = keyOf(scope, call.callId);
    const args = readArguments(call.argumentsJson);
    return await this.#admissions.run(key, async () => {
      const running = this.#running.get(key);
      const found = running === undefined ? await this.#check(call, args, signal) : undefined;
      const { ledger, instanceId } = this.#deps;
      const begun = await ledger.begin(scope, instanceId, {
        callId: call.callId,
        tool: call.tool,
        digest: digestOf(call, args.kind === "read" ? args.text : call.argumentsJson),
        sessionId: call.context?.sessionId ?? "",
        runId: call.context?.runId ?? "",
        epoch: epochOf(call.context),
      });
      if (begun.kind === "dispatch" && found !== undefined) {
        if (!call.hasStarted || found.entry.tool.repeatable)
          return this.#launch(key, scope, { call, args: dispatchedValue(args) }, found);
        this.#deps.log.warn({ callId: call.callId, tool: call.tool }, "a call had started and is not in the ledger");
        return { kind: "finished", result: await this.#record(scope, forgottenResult(call.callId)) };
      }
      if (begun.kind === "open" && found?.entry.tool.repeatable === true) {
        this.#deps.log.info(
          { callId: call.callId, tool: call.tool },
          "a call in doubt is repeated: its tool is repeatable",
        );
        return this.#launch(key, scope, { call, args: dispatchedValue(args) }, found);
      }
      return await this.#settled(scope, call.callId, begun, running);
    });
  }

  /** Finds a call that its owner made before; another id is tombstoned (T2). Errors: CALL_NOT_FOUND, EPOCH_FENCED. */
  async reattach(scope: CallOwner, callId: string, context: CallContext | undefined): Promise<Admitted> {
    const key = keyOf(scope, callId);
    return await this.#admissions.run(key, async () => {
      const running = this.#running.get(key);
      const run = { runId: context?.runId ?? "", epoch: epochOf(context) };
      const found = await this.#deps.ledger.reattach(scope, callId, run);
      // The same for an id of somebody else: that there is such a call is none of the caller's business.
      if (found.kind === "tombstoned") throw callNotFound(callId);
      return await this.#settled(scope, callId, found, running);
    });
  }

  /** What the ledger says of a call that is not to be dispatched now. */
  async #settled(
    scope: CallOwner,
    callId: string,
    begun: BeginOutcome,
    running: RunningCall | undefined,
  ): Promise<Admitted> {
    switch (begun.kind) {
      case "finished":
        return { kind: "finished", result: fromBinary(ToolResultSchema, begun.result) };
      case "open": {
        if (running !== undefined) return { kind: "running", call: running };
        this.#deps.log.warn({ callId, dispatchedBy: begun.instanceId }, "a call is in doubt: its outcome is unknown");
        return { kind: "finished", result: await this.#record(scope, inDoubtResult(callId)) };
      }
      case "other-call":
        throw failure(ErrorReason.REQUEST_ID_REUSED, `call_id ${callId} was used for another call; choose a new one`, {
          metadata: { request_id: callId, method: "atoll.tool.v1.ToolRouterService/CallTool" },
        });
      case "stale-epoch":
        throw failure(ErrorReason.EPOCH_FENCED, `a newer epoch (${begun.epoch}) holds the run; this call is too late`, {
          metadata: { run_id: scope.runId, epoch: String(begun.epoch) },
        });
      case "tombstoned":
        throw failure(
          ErrorReason.CALL_TOMBSTONED,
          `call_id ${callId} was given up before it was dispatched; it had no effect`,
          {
            metadata: { call_id: callId },
          },
        );
      case "dispatch":
        throw new Error(`the ledger forgot call ${callId}, which this instance runs`);
    }
  }

  /** Everything that can be refused before an intent exists. */
  async #check(call: ToolCall, args: ReadArguments, signal: AbortSignal | undefined): Promise<FoundTool> {
    const { servers, agentTools } = this.#deps;
    const { tool, callId } = call;
    const policy = decidePolicy(tool, patternsOf(agentTools, call.context?.agentId ?? ""));
    if (policy.verdict === PolicyVerdict.DENY) {
      throw failure(ErrorReason.TOOL_DENIED, `policy does not let this agent use ${tool} (${policy.rule})`, {
        metadata: { tool, rule: policy.rule },
      });
    }
    const found = await findTool(servers, tool, this.#deps.clock, signal);
    const { entry, supervisor } = found;
    if (entry.tool.state !== ToolState.READY) {
      const message = `${tool} waits for its approval; set \`trusted: true\` for the MCP server "${supervisor.name}" to use its tools`;
      throw failure(ErrorReason.APPROVAL_REQUIRED, message, { metadata: { call_id: callId } });
    }
    await this.#checkArguments(tool, args, entry);
    this.#refuseOverload(supervisor.name);
    return found;
  }

  async #checkArguments(tool: string, args: ReadArguments, entry: CatalogTool): Promise<void> {
    const { server, definitionHash: hash } = entry.tool;
    const schema = { server, hash, schema: entry.inputSchema, parts: entry.schemaParts };
    const checked: CheckOutcome =
      args.kind === "read"
        ? await this.#deps.checks.check(schema, roundNumbers(args.value) as JsonObject)
        : { kind: "invalid", fields: [{ path: "arguments", problem: args.problem }] };
    switch (checked.kind) {
      case "valid":
        return;
      case "invalid": {
        const problems = checked.fields.map((field) => `${field.path} ${field.problem}`).join("; ");
        throw failure(ErrorReason.TOOL_ARGUMENTS_INVALID, `the arguments do not fit ${tool}: ${problems}`, {
          metadata: { tool },
          fields: checked.fields,
        });
      }
      case "broken-schema": {
        const message = `the schema of ${tool} can't be used, so its arguments can't be checked: ${checked.problem}`;
        throw failure(ErrorReason.TOOL_UNUSABLE, message, { metadata: { tool, problem: checked.problem } });
      }
      case "too-costly":
        throw failure(ErrorReason.TOOL_CHECK_TOO_COSTLY, `${tool} was not called: ${checked.problem}`, {
          metadata: { tool },
        });
      case "busy":
        throw failure(
          ErrorReason.LIMIT_EXCEEDED,
          `${checked.limit} calls wait for their arguments to be checked; try again`,
          { metadata: { limit: String(checked.limit) }, retryAfterMs: 1000 },
        );
    }
  }

  #refuseOverload(server: string): void {
    const running = [...this.#running.values()];
    const limit = running.length >= maxRunningCalls ? maxRunningCalls : maxRunningCallsOfServer;
    const counted =
      limit === maxRunningCalls ? running.length : running.filter((call) => call.server === server).length;
    if (counted < limit) return;
    const where = limit === maxRunningCalls ? "in this router" : `at the MCP server "${server}"`;
    throw failure(ErrorReason.LIMIT_EXCEEDED, `${limit} calls are running ${where}; try again when some have ended`, {
      metadata: { limit: String(limit) },
      retryAfterMs: 1000,
    });
  }

  #launch(key: string, scope: CallOwner, { call, args }: DispatchedCall, found: FoundTool): Admitted {
    const { log } = this.#deps;
    const running = new RunningCall({
      callId: call.callId,
      tool: call.tool,
      server: found.supervisor.name,
      run: (signal, onProgress) => dispatchCall(this.#deps, scope, { call, args }, found, signal, onProgress),
      record: async (result) => {
        const recorded = await this.#record(scope, result);
        this.#running.delete(key);
        return recorded;
      },
    });
    this.#running.set(key, running);
    running.result().catch((error: unknown) => {
      log.error(
        { callId: call.callId, error },
        "the outcome of a call can't be recorded; it is kept until somebody asks",
      );
    });
    return { kind: "running", call: running };
  }

  async #record(scope: CallOwner, result: ToolResult): Promise<ToolResult> {
    const recorded = await this.#deps.ledger.finish(scope, result.callId, toBinary(ToolResultSchema, result));
    return fromBinary(ToolResultSchema, recorded);
  }
}

/** Of arguments that were checked. */
function dispatchedValue(args: ReadArguments): JsonObject {
  return args.kind === "read" ? args.value : {};
}

function keyOf({ tenant, principal, runId }: CallOwner, callId: string): string {
  return JSON.stringify([tenant, principal, runId, callId]);
}

function callNotFound(callId: string): Error {
  return failure(ErrorReason.CALL_NOT_FOUND, `no call ${callId} was made, and none will be under this id`, {
    metadata: { call_id: callId },
  });
}

function epochOf(context: CallContext | undefined): number {
  const epoch = context?.epoch ?? 0n;
  if (epoch <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(epoch);
  throw failure(ErrorReason.FIELD_INVALID, "call.context.epoch: must be at most 9007199254740991", {
    fields: [{ path: "call.context.epoch", problem: "must be at most 9007199254740991" }],
  });
}
