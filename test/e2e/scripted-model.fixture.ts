/**
 * What the fake API answers, as the newest message of a person asks for it, so that one fake serves every test:
 *
 * - `tokens=200 delay=10`: 200 tokens, 10 ms apart; the delay is optional.
 * - `call probe.echo {"text":"hi"}`: asks for the tool; with a result in hand it says so. A `delay=` slows that down.
 * - anything else: one sentence.
 *
 * Words that came together ask for several things: the last one is done.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { RecordedRequest } from "../support/fake-anthropic/request-history.ts";
import { type FakeReply, text } from "../support/fake-anthropic/script.ts";

const asks = /(?:tokens=(\d+)|call (\S+) (\{[^}]*\}))(?: delay=(\d+))?/g;

export function answerAsAsked(body: JsonObject): FakeReply {
  const [, tokens, tool, args, delay] = [...askedIn(body).matchAll(asks)].at(-1) ?? [];
  const tokenDelayMs = Number(delay ?? 0);
  if (tool !== undefined && args !== undefined) {
    const name = tool.replace(".", "__");
    const blocks = hasResult(body)
      ? [{ type: "text" as const, text: "The tool has answered, and that is all there is to say." }]
      : [{ type: "tool_use" as const, name, input: JSON.parse(args) as JsonObject }];
    return { kind: "answer", blocks, tokenDelayMs };
  }
  return tokens === undefined
    ? text("All is well on the atoll.")
    : { kind: "tokens", tokens: Number(tokens), tokenDelayMs };
}

/** How many of the requests answered a message that contains `words`. */
export function countAsked(requests: readonly RecordedRequest[], words: string): number {
  return requests.filter(({ body }) => askedIn(body).includes(words)).length;
}

/** The newest words of a person; results of tools are not words. */
function askedIn(body: JsonObject): string {
  const messages = listOf(body["messages"]).map(objectOf).reverse();
  for (const message of messages) {
    const words = message["role"] === "user" ? wordsOf(message["content"]) : "";
    if (words !== "") return words;
  }
  return "";
}

function hasResult(body: JsonObject): boolean {
  const last = objectOf(listOf(body["messages"]).at(-1));
  return listOf(last["content"]).some((block) => objectOf(block)["type"] === "tool_result");
}

function wordsOf(content: JsonValue | undefined): string {
  if (typeof content === "string") return content;
  return listOf(content)
    .map(objectOf)
    .flatMap((block) => (block["type"] === "text" && typeof block["text"] === "string" ? [block["text"]] : []))
    .join(" ");
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
