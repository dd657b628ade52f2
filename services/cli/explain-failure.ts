/** What a command threw, as facts for a person or a program, and its exit code: 1 failed, 2 usage or configuration. */
import { Code, ConnectError } from "@connectrpc/connect";
import { ConfigError } from "../kernel/config/config-error.ts";
import { DataDirError } from "../kernel/config/folders/data-dir.ts";
import { failureFacts, reasonName } from "../kernel/errors.ts";
import { PeerMissing } from "../kernel/rpc/hops/peer-missing.ts";
import { ListenError } from "../kernel/rpc/listener/listen-error.ts";
import { StoreUnavailable } from "../kernel/store/store-errors.ts";
import { type FailureFacts, UsageError } from "./command.ts";
import { MeshNotRunning, MeshNotTrusted } from "./mesh-failures.ts";

export interface Explanation {
  readonly facts: FailureFacts;
  readonly exitCode: 1 | 2;
}

/** What a person has to be told in their own words alone: the class, and how a program is told. */
const known = [
  [UsageError, "invalid_argument", "USAGE", 2],
  [ConfigError, "invalid_argument", "CONFIG_INVALID", 2],
  [MeshNotRunning, "unavailable", "MESH_NOT_RUNNING", 1],
  [MeshNotTrusted, "failed_precondition", "MESH_NOT_TRUSTED", 1],
  [DataDirError, "failed_precondition", "DATA_FOLDER_UNUSABLE", 1],
  [ListenError, "unavailable", "LISTEN_FAILED", 1],
  [StoreUnavailable, "unavailable", "STORE_UNAVAILABLE", 1],
  [PeerMissing, "failed_precondition", "PEER_MISSING", 1],
] as const;

export function explainFailure(error: unknown): Explanation {
  const inner = error instanceof ConnectError && isOfConnecting(error.cause) ? error.cause : error;
  for (const [kind, code, reason, exitCode] of known) {
    if (inner instanceof kind) return { facts: { code, reason, message: inner.message, isOwnWords: true }, exitCode };
  }
  if (error instanceof ConnectError) return { facts: factsOf(error), exitCode: 1 };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { facts: { code: "unknown", reason: "FAULT", message, isOwnWords: true }, exitCode: 1 };
}

function isOfConnecting(cause: unknown): boolean {
  return cause instanceof MeshNotRunning || cause instanceof MeshNotTrusted;
}

/** An error of the mesh: what happened, its code and reason, and the fields. */
export function factsOf(error: ConnectError): FailureFacts {
  const { reason, fields } = failureFacts(error);
  return {
    code: codeName(error.code),
    ...(reason === undefined ? {} : { reason: reasonName(reason) }),
    message: error.rawMessage,
    ...(fields.length === 0 ? {} : { fields }),
  };
}

/** `NotFound` as Connect writes it: `not_found`. */
function codeName(code: Code): string {
  return (Code[code] ?? "unknown").replace(/(?<=[a-z])[A-Z]/g, "_$&").toLowerCase();
}
