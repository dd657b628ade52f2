/**
 * Whether a model can be called, asked of the address that serves it without paying for an answer.
 *
 * Keeps L7: each question takes at most 5 s and reads at most 64 KiB of what comes. The key is sent to that address alone,
 * never over a redirect, and never shown.
 */
import type { Verdict } from "./findings.ts";

const ownAddress = "https://api.anthropic.com";
const maxWaitMs = 5_000;
const maxBytes = 65_536;

export interface ModelApi {
  /** Undefined for Anthropic's own. */
  readonly baseUrl: string | undefined;
  readonly apiKey: string;
}

export interface ApiFinding {
  readonly verdict: Verdict;
  readonly text: string;
}

/** Asks for the model's own entry, and where there is no such list, with a message that is refused for its form alone. */
export async function askModelApi(api: ModelApi, model: string): Promise<ApiFinding> {
  const where = placeOf(api);
  const entry = await ask(api, `/v1/models/${encodeURIComponent(model)}`);
  if ("problem" in entry) return wrong(`${where} ${entry.problem}`);
  const plain = judge(entry, where);
  if (plain !== undefined) return plain;
  if (entry.status === 200) {
    return isObject(entry.body, "id")
      ? { verdict: "ok", text: `${where} answers, takes the key and has it` }
      : foreign(where);
  }
  const list = await ask(api, "/v1/models?limit=1");
  if ("status" in list && list.status === 200 && isObject(list.body, "data")) {
    return wrong(`${where} answers and takes the key, but has no model of this name`);
  }
  return askWithEmptyMessage(api, where);
}

/** Proxies of the API often have no list of models. An empty message costs nothing: it is refused when all else is right. */
async function askWithEmptyMessage(api: ModelApi, where: string): Promise<ApiFinding> {
  const answer = await ask(api, "/v1/messages", {});
  if ("problem" in answer) return wrong(`${where} ${answer.problem}`);
  const plain = judge(answer, where);
  if (plain !== undefined) return plain;
  if ((answer.status === 400 || answer.status === 422) && isObject(answer.body, "error")) {
    return { verdict: "note", text: `${where} answers and takes the key; only a run shows whether it has this model` };
  }
  return foreign(where, answer.status);
}

/** What a status says whatever was asked; undefined when it depends. */
function judge({ status, location }: ApiAnswer, where: string): ApiFinding | undefined {
  if (status === 401 || status === 403) return wrong(`${where} refuses the key (${status})`);
  if (status === 429 || status === 529)
    return { verdict: "note", text: `${where} is busy (${status}): ask again later` };
  if (status >= 500) return wrong(`${where} fails (${status})`);
  if (status >= 300 && status < 400) return wrong(`${where} sends elsewhere (${status}${location}): name that address`);
  return undefined;
}

function foreign(where: string, status?: number): ApiFinding {
  const how = status === undefined ? "" : ` (${status})`;
  return wrong(`${where} answers, but not as a Messages API${how}: check \`models.anthropic.baseUrl\``);
}

function wrong(text: string): ApiFinding {
  return { verdict: "wrong", text };
}

interface ApiAnswer {
  readonly status: number;
  /** Undefined when it is no JSON. */
  readonly body: unknown;
  readonly location: string;
}

async function ask(api: ModelApi, path: string, body?: object): Promise<ApiAnswer | { readonly problem: string }> {
  try {
    const response = await fetch(`${api.baseUrl ?? ownAddress}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { "x-api-key": api.apiKey, "anthropic-version": "2023-06-01", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: "manual",
      signal: AbortSignal.timeout(maxWaitMs),
    });
    const text = await readBeginning(response);
    const location = response.headers.has("location") ? " to another address" : "";
    return { status: response.status, body: readJson(text), location };
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError")
      return { problem: `does not answer within ${maxWaitMs} ms` };
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    return { problem: `is not reachable (${code.replace(/\/\/[^/@\s]*@/g, "//…@")})` };
  }
}

async function readBeginning(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  for (let total = 0; reader !== undefined && total < maxBytes; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    total += value.length;
  }
  await reader?.cancel();
  return Buffer.concat(chunks).toString("utf8");
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(body: unknown, key: string): boolean {
  return typeof body === "object" && body !== null && key in body;
}

/** The address without a name, password or query in it. */
function placeOf({ baseUrl }: ModelApi): string {
  const { origin, pathname } = new URL(baseUrl ?? ownAddress);
  return `${origin}${pathname === "/" ? "" : pathname}`;
}
