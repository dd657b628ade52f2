import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ErrorReasonSchema } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { verifies } from "../../test/requirements.ts";
import { codeOf, ErrorReason, failedWith, failure, failureFacts, reasonByName, reasonName } from "./errors.ts";

const stated = ErrorReasonSchema.values.filter((value) => value.number !== ErrorReason.UNSPECIFIED);

describe("an error that leaves Atoll", () => {
  it.each(stated.map((value) => [value.name, value.number as ErrorReason] as const))(
    `has for %s the code that the contract states ${verifies("L6")}`,
    (name, reason) => {
      expect(Code[codeOf(reason)], "a code of Connect").toBeTypeOf("string");
      expect(failure(reason, "what happened").code).toBe(codeOf(reason));
      expect(reasonByName(reasonName(reason))).toBe(reason);
      expect(`ERROR_REASON_${reasonName(reason)}`).toBe(name);
    },
  );

  it("names in its comment the code that it states", () => {
    expect(codeOf(ErrorReason.TOKEN_INVALID)).toBe(Code.Unauthenticated);
    expect(codeOf(ErrorReason.SCOPE_MISSING)).toBe(Code.PermissionDenied);
    expect(codeOf(ErrorReason.STORE_UNAVAILABLE)).toBe(Code.Unavailable);
    expect(codeOf(ErrorReason.INTERNAL)).toBe(Code.Internal);
  });

  it("gives back all that it was made with", () => {
    const fields = [
      { path: "request_id", problem: "required" },
      { path: "message.content[0]", problem: "empty" },
    ];
    const error = failure(ErrorReason.FIELD_INVALID, "request_id: required", {
      fields,
      metadata: { more: "facts" },
      retryAfterMs: 1_250,
    });
    expect(failureFacts(error)).toEqual({
      reason: ErrorReason.FIELD_INVALID,
      metadata: { more: "facts", field: "request_id" },
      fields,
      retryAfterMs: 1_250,
    });
    expect(failedWith(error, ErrorReason.FIELD_INVALID)).toBe(true);
    expect(failedWith(error, ErrorReason.INTERNAL)).toBe(false);
  });

  it("keeps its cause to itself", () => {
    const error = failure(ErrorReason.INTERNAL, "a fault of ours", {
      metadata: { trace_id: "" },
      cause: new Error("password=hunter2"),
    });
    expect(error.cause).toBeInstanceOf(Error);
    const sent = error.details.map((detail) => ("value" in detail ? detail.value : undefined));
    expect(JSON.stringify([error.message, error.rawMessage, sent])).not.toContain("hunter2");
  });
});

describe("an error of somebody else", () => {
  it("has no reason of ours, whatever its details say", () => {
    const error = new ConnectError("no", Code.NotFound);
    expect(failureFacts(error)).toEqual({ reason: undefined, metadata: {}, fields: [], retryAfterMs: 0 });
    error.details.push({ desc: ErrorInfoSchema, value: { reason: "TOKEN_INVALID", domain: "elsewhere.example" } });
    expect(failureFacts(error).reason).toBeUndefined();
    expect(failedWith(error, ErrorReason.TOKEN_INVALID)).toBe(false);
    expect(failedWith(new Error("TOKEN_INVALID"), ErrorReason.TOKEN_INVALID)).toBe(false);
  });

  it("of a newer mesh, with a reason that this one does not know, is read without it", () => {
    const error = new ConnectError("no", Code.NotFound);
    error.details.push({ desc: ErrorInfoSchema, value: { reason: "SOMETHING_NEW", domain: "atoll" } });
    expect(failureFacts(error).reason).toBeUndefined();
  });
});
