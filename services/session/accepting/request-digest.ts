/**
 * What makes two requests the same (R1): a digest of our own re-encoding without the request id, so that the bytes of a
 * client's encoder do not matter. The version in front changes when the encoding does; digests of two versions can't be
 * compared, and judge-request.ts then gives the first answer again.
 *
 * Only answers are stored. What failed validation never comes here, and a refusal (busy, queue full, head moved, not
 * found) changed nothing, so that the same request may succeed later.
 */
import { hash } from "node:crypto";
import { clone, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import type { Answered, Request } from "../store/request.ts";
import { encodeCanonically } from "./canonical-message.ts";

const version = "2";

function encodeBare<Schema extends DescMessage>(
  schema: Schema,
  message: MessageShape<Schema> & { requestId: string },
): Uint8Array {
  const bare = clone(schema, message) as MessageShape<Schema> & { requestId: string };
  bare.requestId = "";
  return encodeCanonically(schema, bare);
}

/** The request of a call that must happen once, and how many bytes it has without its id. */
export function requestOf<Schema extends DescMessage, Outcome>(
  schema: Schema,
  message: MessageShape<Schema> & { requestId: string },
  method: string,
  answer: Request<Outcome>["answer"],
): Request<Outcome> & { readonly bytes: number } {
  const bare = encodeBare(schema, message);
  const digest = `${version}:${hash("sha256", bare, "base64url")}`;
  return { method, requestId: message.requestId, digest, answer, bytes: bare.length };
}

/** The stored answer, the first time and every time after. Errors: REQUEST_ID_REUSED. */
export function answerOf<Outcome>(answered: Answered<Outcome>, request: Request<Outcome>): Uint8Array {
  if (answered.kind !== "request-id-reused") return answered.answer;
  throw failure(
    ErrorReason.REQUEST_ID_REUSED,
    `request_id ${request.requestId} was used with another body: take a new one for a new request`,
    { metadata: { request_id: request.requestId, method: request.method } },
  );
}
