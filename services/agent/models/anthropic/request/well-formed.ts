/** Half a surrogate pair is legal in a JavaScript string and in no JSON that the Messages API takes: U+FFFD stands in its place. */
import type { JsonObject } from "@bufbuild/protobuf";
import { parseExact } from "../../../../kernel/json/exact-json.ts";

/** JSON.stringify escapes a surrogate only where its other half is missing; an escaped backslash is no escape. */
const loneSurrogate = /(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}/g;

/** The same object when there is nothing to mend. */
export function wellFormedJson<Value extends JsonObject>(value: Value): Value {
  const json = JSON.stringify(value);
  const mended = json.replace(loneSurrogate, "$1\ufffd");
  return mended === json ? value : (parseExact(mended) as Value);
}
