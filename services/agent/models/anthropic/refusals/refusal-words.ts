/**
 * What the API's words say of a refused request: which part of it is the offence.
 *
 * The API has no field for that; its words name a place (`messages.3.content.1.…`, `tools.0.custom.…`), a length, or
 * nothing. Words that aren't known are taken for the conversation's, because that is what changes from call to call, unless
 * they speak of the account or of another parameter.
 */
import type { ApiFault } from "./api-faults.ts";

export type Offence =
  /** A tool's definition, by its place in the request. */
  | { readonly kind: "tool"; readonly index: number }
  /** A block, by its place in the request; `part` is a place in a result. */
  | { readonly kind: "block"; readonly message: number; readonly content: number; readonly part: number | undefined }
  /** The request is too long. `keep` is the share that fits, from 0 to 1, of its tokens or of its bytes. */
  | { readonly kind: "too-long"; readonly keep: number; readonly unit: "tokens" | "bytes" }
  /** Reasoning of earlier answers. */
  | { readonly kind: "thinking" }
  /** Something in the conversation; `pictures` when it is one of those. */
  | { readonly kind: "history"; readonly pictures: boolean }
  /** Nothing that mending the conversation can help. */
  | { readonly kind: "other" };

const ofTool = /^tools\.(\d+)\b/;
const ofBlock = /^messages\.(\d+)\.content\.(\d+)(?:\.tool_result\.content\.(\d+))?/;
const tooLong = /prompt is too long(?:: (\d+) tokens > (\d+))?|exceeds? (?:the )?(?:model's )?context/i;
const ofAnotherParameter =
  /^(?:max_tokens|model|system|temperature|top_[kp]|metadata|stop_sequences|tool_choice|thinking|tools|stream|service_tier|anthropic-\w+|x-api-key)\b/;
const ofTheAccount = /credit|billing|balance|api key|quota|usage limit|spend|organi[sz]ation|workspace|account/i;

/** @param sentThinking Whether the request had reasoning of earlier answers. */
export function readOffence({ status, message }: ApiFault, sentThinking: boolean): Offence {
  if (status === 413) return { kind: "too-long", keep: 0.5, unit: "bytes" };
  if (status !== 400) return { kind: "other" };
  const tool = ofTool.exec(message);
  if (tool !== null) return { kind: "tool", index: Number(tool[1]) };
  const long = tooLong.exec(message);
  if (long !== null) {
    const share = Number(long[2]) / Number(long[1]);
    return { kind: "too-long", keep: share > 0 && share < 1 ? share : 0.5, unit: "tokens" };
  }
  if (sentThinking && /^messages\b.*(?:thinking|signature)/.test(message)) return { kind: "thinking" };
  const block = ofBlock.exec(message);
  if (block !== null) {
    const part = block[3] === undefined ? undefined : Number(block[3]);
    return { kind: "block", message: Number(block[1]), content: Number(block[2]), part };
  }
  if (ofAnotherParameter.test(message) || ofTheAccount.test(message)) return { kind: "other" };
  if (sentThinking && /thinking|signature/.test(message)) return { kind: "thinking" };
  return { kind: "history", pictures: /image|picture/i.test(message) };
}
