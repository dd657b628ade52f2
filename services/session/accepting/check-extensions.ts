/** Keeps L6 for content of other makers' kinds: it is passed on untouched, so it must be what it says it is. */
import { fromBinary } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { ErrorReason, type FieldProblem, failure } from "../../kernel/errors.ts";

/** A prefix, a slash, a full name: `type.googleapis.com/maker.v1.Kind`. */
const typeUrl = /^[^\s/]+(?:\/[^\s/]+)*\/[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/;

/**
 * Errors: FIELD_INVALID for an extension without a type, or whose value is no encoded message: readers that decode it
 * would fail at the event for ever.
 *
 * @param path Of the content, for example `message.content`.
 */
export function checkExtensions(content: readonly ContentBlock[], path: string): void {
  const fields = content.flatMap(({ block }, index): FieldProblem[] => {
    if (block.case !== "extension") return [];
    const at = `${path}[${index}].extension`;
    if (!typeUrl.test(block.value.typeUrl))
      return [{ path: `${at}.type_url`, problem: "must be like type.googleapis.com/maker.v1.Kind" }];
    return isMessage(block.value.value) ? [] : [{ path: `${at}.value`, problem: "is no encoded message" }];
  });
  const [first] = fields;
  if (first !== undefined) throw failure(ErrorReason.FIELD_INVALID, `${first.path} ${first.problem}`, { fields });
}

function isMessage(value: Uint8Array): boolean {
  try {
    fromBinary(EmptySchema, value);
    return true;
  } catch {
    return false;
  }
}
