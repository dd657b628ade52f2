/**
 * The keys of ErrorInfo.metadata that each reason promises; of some, the one or the other set.
 *
 * The promise itself is a comment of error_reason.proto, which the compiler does not read: this says it again, so that `failure`
 * is refused by tsc where a key is missing or too much. error-metadata.test.ts holds the two together.
 */
import type { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";

export const promisedMetadata = {
  UNSPECIFIED: [],
  FIELD_INVALID: [["field"]],
  MALFORMED_MESSAGE: [[]],
  MESSAGE_TOO_LARGE: [["limit_bytes"]],
  TOKEN_INVALID: [[]],
  SCOPE_MISSING: [["scope"]],
  LINK_INVALID: [[]],
  SESSION_NOT_FOUND: [["session_id"], ["key"]],
  SESSION_CLOSED: [["session_id"]],
  SESSION_KEY_TAKEN: [["session_id", "key"]],
  RUN_NOT_FOUND: [["run_id"]],
  RUN_FINISHED: [["run_id", "status"]],
  SESSION_BUSY: [["run_id"]],
  QUEUE_FULL: [["limit"]],
  REQUEST_ID_REUSED: [["request_id", "method"]],
  HEAD_MOVED: [["head_seq"]],
  LOG_REPLACED: [["log_id", "oldest_seq", "head_seq"]],
  CURSOR_AHEAD: [["log_id", "oldest_seq", "head_seq"]],
  HISTORY_TRIMMED: [["log_id", "oldest_seq", "head_seq"]],
  EPOCH_FENCED: [["run_id", "epoch"]],
  BATCH_OUT_OF_ORDER: [["run_id", "expected_batch_no"]],
  EVENT_NOT_ALLOWED: [["index", "problem"]],
  AGENT_NOT_FOUND: [["agent_id"]],
  MODEL_NOT_FOUND: [["model"], ["model", "status", "problem"]],
  MODEL_UNAVAILABLE: [["model", "status", "problem"], ["model"]],
  MODEL_REFUSED: [["model", "status", "problem"], ["model"]],
  TOOL_NOT_FOUND: [["tool"]],
  TOOL_ARGUMENTS_INVALID: [["tool"]],
  TOOL_TIMEOUT: [["tool", "timeout_ms"]],
  TOOL_OUTCOME_UNKNOWN: [["call_id", "tool"]],
  TOOL_DENIED: [["tool", "rule"]],
  TOOL_QUARANTINED: [["tool"]],
  SERVER_UNAVAILABLE: [["server", "problem"]],
  SERVER_NOT_FOUND: [["server"]],
  APPROVAL_REQUIRED: [["call_id"]],
  APPROVAL_VOID: [["approval_id"]],
  CALL_TOMBSTONED: [["call_id"]],
  BLOB_NOT_FOUND: [["sha256"]],
  STORE_UNAVAILABLE: [["problem"]],
  DRAINING: [[]],
  PEER_UNAVAILABLE: [["service"]],
  LIMIT_EXCEEDED: [["limit"]],
  READER_STALLED: [["after_seq"]],
  DEADLINE_EXCEEDED: [["timeout_ms"]],
  METHOD_NOT_SERVED: [["method"]],
  CONFIG_CONFLICT: [["revision"]],
  INTERNAL: [["trace_id"]],
  NOTHING_TO_ANSWER: [["id"]],
  TRANSPORT_UNSUITABLE: [["method"]],
  LOG_DAMAGED: [["session_id", "seq"]],
  TOOL_UNUSABLE: [["tool", "problem"]],
  TOOL_CHECK_TOO_COSTLY: [["tool"]],
  TOOL_ANSWER_UNREADABLE: [["call_id", "tool"]],
  MODEL_GAVE_NO_ANSWER: [["model"]],
  COMPRESSION_REFUSED: [["encoding"]],
  CALL_NOT_FOUND: [["call_id"]],
} as const satisfies Readonly<Record<keyof typeof ErrorReason, readonly (readonly string[])[]>>;

type Promised = typeof promisedMetadata;

/** The metadata of a reason; of a reason that is not known before it runs, whatever it brings. */
export type MetadataOf<Reason extends ErrorReason> = ErrorReason extends Reason
  ? Readonly<Record<string, string>>
  : {
      [Name in keyof Promised]: (typeof ErrorReason)[Name] extends Reason ? OneOf<Promised[Name][number]> : never;
    }[keyof Promised];

type OneOf<Keys extends readonly string[]> = Keys extends unknown ? { readonly [Key in Keys[number]]: string } : never;
