/** Reads the google.rpc details of an error out of their encoded form. */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { Refusal } from "./interop-client.ts";

export interface EncodedDetail {
  /** Full name of the message type. */
  readonly type: string;
  readonly value: Uint8Array;
}

export function readRefusal(code: string, details: readonly EncodedDetail[]): Refusal {
  const find = <Desc extends DescMessage>(schema: Desc): readonly MessageShape<Desc>[] =>
    details.filter(({ type }) => type === schema.typeName).map(({ value }) => fromBinary(schema, value));
  const info = find(ErrorInfoSchema)[0];
  return {
    code,
    reason: info?.reason ?? "",
    domain: info?.domain ?? "",
    metadata: info?.metadata ?? {},
    fieldPaths: find(BadRequestSchema).flatMap((detail) => detail.fieldViolations.map(({ field }) => field)),
  };
}
