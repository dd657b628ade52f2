/** The API's rules for a conversation: turns, blocks, and that each call is answered in the very next message. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isSigned } from "../answers/signature.ts";
import { type ApiProblem, invalid } from "../error-body.ts";
import { isObject } from "./is-object.ts";
import { validateImage } from "./validate-image.ts";

const callId = /^[a-zA-Z0-9_-]+$/;

interface Turn {
  readonly role: "user" | "assistant";
  readonly blocks: readonly JsonObject[];
}

export function validateMessages(body: JsonObject): ApiProblem | undefined {
  const { messages } = body;
  if (!Array.isArray(messages)) return invalid("messages: Input should be a valid list");
  if (messages.length === 0) return invalid("messages: at least one message is required");
  const turns: Turn[] = [];
  const pictures = countPictures(messages);
  for (const [index, message] of messages.entries()) {
    const turn = readTurn(message);
    if (turn === undefined) return invalid(`messages.${index}: Input should be a valid message`);
    const problem = checkTurn(turn, turns.at(-1), index, pictures);
    if (problem !== undefined) return problem;
    turns.push(turn);
  }
  const calls = turns.flatMap((turn) => turn.blocks).filter((block) => block.type === "tool_use");
  const repeated = calls.find((call, index) => calls.findIndex((other) => other.id === call.id) !== index);
  if (repeated !== undefined) return invalid("messages: `tool_use` ids must be unique");
  if (calls.length > 0 && body.tools === undefined) {
    return invalid("tools: Requests which include `tool_use` or `tool_result` blocks must define tools");
  }
  if (turns.at(-1)?.role !== "user") {
    return invalid(
      "This model does not support assistant message prefill. The conversation must end with a user message.",
    );
  }
  return checkThinkingFirst(body.thinking, turns);
}

function readTurn(message: JsonValue): Turn | undefined {
  if (typeof message !== "object" || message === null || Array.isArray(message)) return undefined;
  const { role, content } = message;
  if (role !== "user" && role !== "assistant") return undefined;
  if (typeof content === "string") return { role, blocks: [{ type: "text", text: content }] };
  return Array.isArray(content) ? { role, blocks: content as JsonObject[] } : undefined;
}

/** Pictures of the messages and of the results in them. */
function countPictures(value: JsonValue): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + countPictures(each), 0);
  if (!isObject(value)) return 0;
  return value.type === "image" ? 1 : countPictures(value.content ?? null);
}

function checkTurn(turn: Turn, before: Turn | undefined, index: number, pictures: number): ApiProblem | undefined {
  const at = `messages.${index}`;
  if (before === undefined && turn.role !== "user") return invalid(`${at}: first message must use the "user" role`);
  if (before?.role === turn.role) {
    return invalid(
      `messages: roles must alternate between "user" and "assistant", but found two "${turn.role}" in a row`,
    );
  }
  if (turn.blocks.length === 0) return invalid(`${at}: all messages must have non-empty content`);
  for (const [position, block] of turn.blocks.entries()) {
    const problem = checkBlock(block, turn.role, `${at}.content.${position}`, pictures);
    if (problem !== undefined) return problem;
  }
  const last = turn.blocks.at(-1)?.type;
  if (turn.role === "assistant" && (last === "thinking" || last === "redacted_thinking")) {
    return invalid(`${at}: The final block in an assistant message cannot be \`thinking\`.`);
  }
  return turn.role === "user" ? checkResults(turn, before, at) : undefined;
}

function checkBlock(block: JsonObject, role: Turn["role"], at: string, pictures: number): ApiProblem | undefined {
  switch (block.type) {
    case "text":
      return checkText(block, at);
    case "image":
      if (role !== "user") return invalid(`${at}: \`image\` blocks are only allowed in user messages`);
      return validateImage(block, at, pictures);
    case "thinking":
      if (role !== "assistant") return invalid(`${at}: \`thinking\` blocks are only allowed in assistant messages`);
      if (block.cache_control !== undefined) return invalid(`${at}.cache_control: Extra inputs are not permitted`);
      if (isSigned(block.thinking, block.signature)) return undefined;
      return invalid(`${at}: Invalid \`signature\` in \`thinking\` block`);
    case "redacted_thinking":
      return typeof block.data === "string" && block.data !== "" ? undefined : invalid(`${at}.data: Field required`);
    case "tool_use": {
      const { id, input } = block;
      if (role !== "assistant") return invalid(`${at}: \`tool_use\` blocks can only be in \`assistant\` messages`);
      if (typeof id !== "string" || !callId.test(id)) return invalid(`${at}.tool_use.id: String should match pattern`);
      const isInput = typeof input === "object" && input !== null && !Array.isArray(input);
      return isInput ? undefined : invalid(`${at}.tool_use.input: Input should be an object`);
    }
    case "tool_result":
      if (role !== "user") return invalid(`${at}: \`tool_result\` blocks can only be in \`user\` messages`);
      return checkResultContent(block, `${at}.tool_result`, pictures);
    default:
      return invalid(`${at}: Input tag '${JSON.stringify(block.type)}' does not match any of the expected tags`);
  }
}

function checkText({ text }: JsonObject, at: string): ApiProblem | undefined {
  if (typeof text !== "string") return invalid(`${at}.text.text: Field required`);
  if (text === "") return invalid("messages: text content blocks must be non-empty");
  return text.trim() === "" ? invalid("messages: text content blocks must contain non-whitespace text") : undefined;
}

function checkResultContent(result: JsonObject, at: string, pictures: number): ApiProblem | undefined {
  const { content, is_error: isError } = result;
  if (content === undefined || typeof content === "string") return undefined;
  if (!Array.isArray(content)) return invalid(`${at}.content: Input should be a valid list`);
  for (const [position, block] of content.entries()) {
    const where = `${at}.content.${position}`;
    if (!isObject(block)) return invalid(`${where}: Input should be an object`);
    if (isError === true && block.type !== "text") {
      return invalid(`${at}: all content must be type \`text\` if \`is_error\` is true`);
    }
    const problem =
      block.type === "text"
        ? checkText(block, where)
        : block.type === "image"
          ? validateImage(block, where, pictures)
          : invalid(`${where}: Input tag '${JSON.stringify(block.type)}' does not match any of the expected tags`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkResults(turn: Turn, before: Turn | undefined, at: string): ApiProblem | undefined {
  const calls = (before?.blocks ?? []).filter((block) => block.type === "tool_use").map((block) => block.id);
  const types = turn.blocks.map((block) => block.type);
  const results = turn.blocks.filter((block) => block.type === "tool_result").map((block) => block.tool_use_id);
  const stray = results.find((id) => !calls.includes(id ?? ""));
  if (stray !== undefined)
    return invalid(`${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${JSON.stringify(stray)}`);
  if (new Set(results).size < results.length) return invalid(`${at}: each \`tool_use\` must have a single result`);
  const missing = calls.filter((id) => !results.includes(id ?? ""));
  if (missing.length > 0) {
    return invalid(
      `${at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.map((id) => JSON.stringify(id)).join(", ")}`,
    );
  }
  const firstOther = types.findIndex((type) => type !== "tool_result");
  if (firstOther !== -1 && types.lastIndexOf("tool_result") > firstOther) {
    return invalid(`${at}: \`tool_result\` blocks must come first`);
  }
  return undefined;
}

/** With a fixed thinking budget, an answer that still waits for results must begin with its reasoning. */
function checkThinkingFirst(thinking: JsonValue | undefined, turns: readonly Turn[]): ApiProblem | undefined {
  const enabled =
    typeof thinking === "object" && thinking !== null && "type" in thinking && thinking.type === "enabled";
  const answer = turns.findLast((turn) => turn.role === "assistant");
  const waits = turns.at(-1)?.blocks.some((block) => block.type === "tool_result") ?? false;
  const first = answer?.blocks[0]?.type;
  return enabled && waits && first !== "thinking" && first !== "redacted_thinking"
    ? invalid("messages: Expected `thinking` or `redacted_thinking` first when `thinking` is enabled")
    : undefined;
}
