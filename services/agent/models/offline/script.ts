/** What the offline model is going to say: decided whole before the first word is streamed. */
import type { JsonObject } from "@bufbuild/protobuf";

export interface ScriptedCall {
  /** `server.tool`. */
  readonly tool: string;
  readonly arguments: JsonObject;
}

export interface Script {
  /** Empty for none. */
  readonly thinking: string;
  /** Empty for none. */
  readonly text: string;
  /** Made in one step, after the text. */
  readonly calls: readonly ScriptedCall[];
  /** Fails instead: before the first word, or after the text. */
  readonly failure: "unavailable" | "refused" | "midway" | undefined;
}

export function say(text: string, more: Partial<Script> = {}): Script {
  return { thinking: "", calls: [], failure: undefined, ...more, text };
}
