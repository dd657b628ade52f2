/**
 * Who holds a run, until when, and what it must still be told.
 *
 * Keeps L4: see rules/judge-lease.ts, which decides on it. The commands are a copy of the store's rows for the
 * time of the lease: a new lease reads them again.
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  CancelCommandSchema,
  type RunCommand,
  RunCommandSchema,
  SteerCommandSchema,
} from "../../../gen/atoll/session/v1/attach_pb.ts";
import type { LeaseClock } from "../rules/judge-lease.ts";
import type { RunCommandRow, RunRow } from "../store/rows.ts";

/** A worker's stream as the lease sees it. */
export interface LeaseHolder {
  readonly workerId: string;
  /** Tells the worker something; lost when the stream is gone. */
  readonly command: (command: RunCommand) => void;
}

export interface RunLease {
  readonly tenant: string;
  readonly sessionId: string;
  readonly runId: string;
  readonly agentId: string;
  /** On whose behalf it is worked on. */
  readonly principal: string;
  readonly epoch: number;
  readonly attempt: number;
  /** Who asked for the run to stop; undefined when nobody did. */
  cancel: { readonly by: string; readonly reason: string } | undefined;
  /** Open commands, in order: what a stream that comes to hold the run must be told. */
  commands: readonly RunCommand[];
  /** Whether the holder has the run's offer: a command before it would name a run that it does not know. */
  isOffered: boolean;
  /** When this instance last signed a token for the holder, by the wall clock; 0 when it has signed none. */
  tokenIssuedAtMs: number;
  /**
   * The stream whose word about the run is taken; undefined when it broke or gave the run back. A holder that was silent for too
   * long has the run until another one does.
   */
  holder: LeaseHolder | undefined;
  /** The worker that held it last, whose next stream may take it up; empty when this instance has not seen one. */
  workerId: string;
  state: LeaseClock;
}

export function newLease(run: RunRow, holder: LeaseHolder | undefined, state: LeaseClock): RunLease {
  const { tenant, sessionId, runId, agentId, principal, epoch, attempt, cancelledBy, cancelReason } = run;
  const cancel = cancelledBy === "" ? undefined : { by: cancelledBy, reason: cancelReason };
  const named = { tenant, sessionId, runId, agentId, principal, epoch, attempt };
  const held = { holder, workerId: holder?.workerId ?? "", state };
  return { ...named, cancel, commands: [], isOffered: false, tokenIssuedAtMs: 0, ...held };
}

/** Keeps L4: whether what is said on this stream about the run is its holder's word. */
export function isHeldBy(lease: RunLease, holder: LeaseHolder, epoch: number): boolean {
  return lease.holder === holder && lease.epoch === epoch;
}

/** Whether a new stream of this worker may hold the run: it says that it still has it. */
export function mayTakeUp(lease: RunLease, { workerId }: LeaseHolder, epoch: number): boolean {
  return lease.epoch === epoch && (lease.workerId === "" || lease.workerId === workerId);
}

/** Adds commands that the lease does not have yet, and tells the holder of them. */
export function tellHolder(lease: RunLease, rows: readonly RunCommandRow[]): void {
  for (const row of rows) {
    const commandId = BigInt(row.commandId);
    if (lease.commands.some((known) => known.commandId === commandId)) continue;
    const command = toRunCommand(lease.runId, row);
    lease.commands = [...lease.commands, command].sort((a, b) => Number(a.commandId - b.commandId));
    if (command.command.case === "cancel") {
      const { cancelledBy: by, reason } = command.command.value;
      lease.cancel ??= { by, reason };
    }
    if (lease.isOffered && lease.state.kind === "held") lease.holder?.command(command);
  }
}

/** What a batch closes: all commands up to one, and the steers that brought messages which its steps read. */
export interface ClosedCommands {
  readonly actedCommandId: bigint;
  readonly readMessageIds: readonly string[];
}

export function closeCommands(lease: RunLease, { actedCommandId, readMessageIds }: ClosedCommands): void {
  if (lease.commands.length === 0) return;
  lease.commands = lease.commands.filter(
    ({ commandId, command }) =>
      commandId > actedCommandId && !(command.case === "steer" && readMessageIds.includes(command.value.messageId)),
  );
}

function toRunCommand(runId: string, { commandId, kind, payload }: RunCommandRow): RunCommand {
  const command =
    kind === "cancel"
      ? ({ case: "cancel", value: fromBinary(CancelCommandSchema, payload) } as const)
      : ({ case: "steer", value: fromBinary(SteerCommandSchema, payload) } as const);
  return create(RunCommandSchema, { runId, commandId: BigInt(commandId), command });
}
