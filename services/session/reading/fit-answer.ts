import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** A quarter of the largest message between our own services, so that what is around the entries never matters. */
const maxAnswerBytes = 1_048_576;

/** How many of these entries, from the first on, one answer may carry: at most about 1 MiB of them, and at least one. */
export function countFitting<Schema extends DescMessage>(
  schema: Schema,
  entries: readonly MessageShape<Schema>[],
): number {
  let bytes = 0;
  const over = entries.findIndex((entry) => {
    bytes += toBinary(schema, entry).length;
    return bytes > maxAnswerBytes;
  });
  return over === -1 ? entries.length : Math.max(1, over);
}
