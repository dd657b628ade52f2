/**
 * The checks of the Messages API that a client can fail, as errors of status 400 (404 for a model).
 *
 * Stricter than the API in one place: neighbours of one role are refused, not merged, so that tests see them.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type ApiProblem, invalid, problemOf } from "../error-body.ts";
import { countTokens } from "./count-tokens.ts";
import { fakeModel } from "./fake-models.ts";
import { isObject } from "./is-object.ts";
import { validateMessages } from "./validate-messages.ts";
import { validateTools } from "./validate-tools.ts";

const known = new Set(
  "model max_tokens messages system tools tool_choice thinking stream stop_sequences metadata cache_control output_config service_tier container diagnostics inference_geo speed".split(
    " ",
  ),
);

/**
 * The first problem of the request; undefined when the API would take it.
 *
 * @param contextTokens The most tokens of a prompt. Default: the model's.
 */
export function validateRequest(body: JsonValue | undefined, contextTokens?: number): ApiProblem | undefined {
  if (!isObject(body)) return invalid("The request body is not valid JSON.");
  const surrogate = findLoneSurrogate(body);
  if (surrogate) return invalid("The request body is not valid JSON: no low surrogate in string");
  const extra = Object.keys(body).find((key) => !known.has(key));
  if (extra !== undefined) return invalid(`${extra}: Extra inputs are not permitted`);
  const missing = ["model", "max_tokens", "messages"].find((key) => body[key] === undefined);
  if (missing !== undefined) return invalid(`${missing}: Field required`);
  const { model: name, max_tokens: maxTokens } = body;
  if (typeof name !== "string") return invalid("model: Input should be a valid string");
  const model = fakeModel(name);
  if (model === undefined) return problemOf(404, `model: ${name}`);
  if (typeof maxTokens !== "number" || !Number.isInteger(maxTokens) || maxTokens < 1) {
    return invalid("max_tokens: Input should be greater than or equal to 1");
  }
  if (maxTokens > model.maxTokens) return invalid(`max_tokens: ${maxTokens} > ${model.maxTokens}, the most of ${name}`);
  return (
    validateTools(body.tools) ??
    validateThinking(body.thinking, maxTokens, model.thinking) ??
    validateBreakpoints(body) ??
    validateMessages(body) ??
    validateLength(body, contextTokens ?? model.contextTokens)
  );
}

function validateLength(body: JsonObject, most: number): ApiProblem | undefined {
  const tokens = countTokens(body);
  return tokens > most ? invalid(`prompt is too long: ${tokens} tokens > ${most} maximum`) : undefined;
}

/** Whether a key or text has half a surrogate pair, which the API's parser does not take. */
function findLoneSurrogate(value: JsonValue): boolean {
  if (typeof value === "string") return !value.isWellFormed();
  if (Array.isArray(value)) return value.some(findLoneSurrogate);
  return isObject(value) && Object.entries(value).some(([key, each]) => !key.isWellFormed() || findLoneSurrogate(each));
}

function validateThinking(
  thinking: JsonValue | undefined,
  maxTokens: number,
  kinds: readonly string[],
): ApiProblem | undefined {
  if (thinking === undefined) return undefined;
  if (!isObject(thinking) || typeof thinking.type !== "string") return invalid("thinking.type: Field required");
  const { type, budget_tokens: budget } = thinking;
  if (!kinds.includes(type as string))
    return invalid(`thinking.type: "${String(type)}" is not supported for this model`);
  if (type !== "enabled") return undefined;
  if (typeof budget !== "number" || budget < 1024) {
    return invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
  }
  return budget < maxTokens ? undefined : invalid("`max_tokens` must be greater than `thinking.budget_tokens`");
}

function validateBreakpoints(body: JsonObject): ApiProblem | undefined {
  const count = countBreakpoints([body.system ?? null, body.tools ?? null, body.messages ?? null]);
  return count <= 4 ? undefined : invalid(`A maximum of 4 blocks with cache_control may be provided. Found ${count}.`);
}

function countBreakpoints(value: JsonValue): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countBreakpoints(item), 0);
  if (!isObject(value)) return 0;
  const own = isObject(value.cache_control) ? 1 : 0;
  return own + (Array.isArray(value.content) ? countBreakpoints(value.content) : 0);
}
