/** A schema as it is mended. */
import { mendSchema } from "./mend-schema.ts";

export function mended(raw: unknown) {
  const result = mendSchema(raw);
  if (result.kind === "unusable") throw new Error(result.problem);
  return result;
}
