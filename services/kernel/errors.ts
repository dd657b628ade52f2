/**
 * Every error that leaves Atoll: a Connect code, one machine-readable reason, field paths, and what to do.
 *
 * The code belongs to the reason and stands in proto/atoll/error/v1/error_reason.proto (L6).
 */
import { create, getOption } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { code, ErrorReason, ErrorReasonSchema } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { MetadataOf } from "./error-metadata.ts";
import { cutText } from "./visible-text.ts";

export { ErrorReason };

/** A field that breaks its rule. */
export interface FieldProblem {
  /** The path as the proto writes it, for example `message.content[0].text.text`. */
  readonly path: string;
  /** What is wrong and what is expected. */
  readonly problem: string;
}

export interface FailureDetail {
  /** Facts for programs, as the reason documents them. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly fields?: readonly FieldProblem[];
  /** When a retry makes sense, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** What went wrong inside; logged, never sent. */
  readonly cause?: unknown;
}

const domain = "atoll";

/** What the details of an error hold at most: it costs less than what caused it, and fits into a header of HTTP. */
export const maxFieldProblems = 16;
const maxFieldsBytes = 4_096;
const maxPathBytes = 256;
const maxProblemBytes = 512;
const maxMetadataBytes = 512;
const maxMessageBytes = 2_048;

/** What `failure` takes with a reason: the facts that it promises must be there, those of FIELD_INVALID as its fields. */
type DetailOf<Reason extends ErrorReason> =
  Readonly<Record<never, string>> extends MetadataOf<Reason>
    ? [detail?: FailureDetail]
    : Reason extends typeof ErrorReason.FIELD_INVALID
      ? [detail: FailureDetail & Required<Pick<FailureDetail, "fields">>]
      : [detail: Omit<FailureDetail, "metadata"> & { readonly metadata: MetadataOf<Reason> }];

/** Makes the error for a reason. The message is for people: what happened and what to do. */
export function failure<Reason extends ErrorReason>(
  reason: Reason,
  message: string,
  ...[given]: DetailOf<Reason>
): ConnectError {
  const detail: FailureDetail = given ?? {};
  const cut = cutText(message, maxMessageBytes);
  const error = new ConnectError(cut, codeOf(reason), undefined, undefined, detail.cause);
  const metadata = Object.fromEntries(
    Object.entries(detail.metadata ?? {}).map(([name, value]) => [name, cutText(value, maxMetadataBytes)]),
  );
  const fields = detail.fields && boundFields(detail.fields);
  const firstField = fields?.[0];
  if (firstField !== undefined && metadata["field"] === undefined) metadata["field"] = firstField.path;
  error.details.push({ desc: ErrorInfoSchema, value: { reason: reasonName(reason), domain, metadata } });
  if (fields !== undefined) {
    const fieldViolations = fields.map((field) => ({ field: field.path, description: field.problem }));
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if (detail.retryAfterMs !== undefined) {
    const seconds = Math.floor(detail.retryAfterMs / 1000);
    const retryDelay = { seconds: BigInt(seconds), nanos: Math.round((detail.retryAfterMs - seconds * 1000) * 1e6) };
    error.details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return error;
}

/** The first ones, each cut, as many as fit. */
function boundFields(fields: readonly FieldProblem[]): readonly FieldProblem[] {
  let left = maxFieldsBytes;
  const bounded: FieldProblem[] = [];
  for (const { path, problem } of fields.slice(0, maxFieldProblems)) {
    const field = { path: cutText(path, maxPathBytes), problem: cutText(problem, maxProblemBytes) };
    left -= Buffer.byteLength(field.path) + Buffer.byteLength(field.problem);
    if (left < 0) break;
    bounded.push(field);
  }
  return bounded;
}

/** The Connect code of a reason. */
export function codeOf(reason: ErrorReason): Code {
  const value = ErrorReasonSchema.value[reason];
  if (value === undefined) throw new TypeError(`no such ErrorReason: ${reason}`);
  return getOption(value, code) as Code;
}

/** The reason without its prefix, as `google.rpc.ErrorInfo` carries it; its number when a newer peer names it. */
export function reasonName(reason: ErrorReason): string {
  return ErrorReasonSchema.value[reason]?.name.slice("ERROR_REASON_".length) ?? String(reason);
}

/** The reason with this name, or undefined when it is not one of ours. */
export function reasonByName(name: string): ErrorReason | undefined {
  const found = ErrorReasonSchema.values.find((value) => value.name === `ERROR_REASON_${name}`);
  return found?.number as ErrorReason | undefined;
}

/** What an error says for programs, wherever it comes from: this process or a peer. */
export interface FailureFacts {
  /** Undefined when the error is not one of ours. */
  readonly reason: ErrorReason | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fields: readonly FieldProblem[];
  /** 0 when a retry does not help. */
  readonly retryAfterMs: number;
}

/** Reads the details of an error. */
export function failureFacts(error: ConnectError): FailureFacts {
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === domain);
  const fields = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    reason: info === undefined ? undefined : reasonByName(info.reason),
    metadata: info?.metadata ?? {},
    fields: fields.map((field) => ({ path: field.field, problem: field.description })),
    retryAfterMs: retry === undefined ? 0 : Number(retry.seconds) * 1000 + retry.nanos / 1e6,
  };
}

/** Whether an error carries this reason. */
export function failedWith(error: unknown, reason: ErrorReason): boolean {
  return error instanceof ConnectError && failureFacts(error).reason === reason;
}
