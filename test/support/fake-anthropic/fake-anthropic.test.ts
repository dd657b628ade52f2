import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, expect, it } from "vitest";
import { signThinking } from "./answers/signature.ts";
import { makeGif, makeJpeg, makePng } from "./requests/pictures.ts";
import { apiError, type FakeReply } from "./script.ts";
import { type FakeAnthropic, type FakeAnthropicOptions, startFakeAnthropic } from "./start-fake-anthropic.ts";

let fake: FakeAnthropic | undefined;

afterEach(async () => {
  await fake?.close();
  fake = undefined;
});

async function start(options: FakeAnthropicOptions = {}): Promise<FakeAnthropic> {
  fake = await startFakeAnthropic(options);
  return fake;
}

const ask = { model: "claude-haiku-4-5", max_tokens: 100, messages: [{ role: "user", content: "hi" }] };

function post(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/messages`, {
    method: "POST",
    headers: { "x-api-key": "k", "anthropic-version": "2026-10-21", "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

async function events(response: Response): Promise<{ event: string; data: Record<string, unknown> }[]> {
  const frames = (await response.text()).split("\n\n").filter(Boolean);
  return frames.map((frame) => {
    const [, event = "", data = ""] = /^event: (.*)\ndata: (.*)$/.exec(frame) ?? [];
    return { event, data: JSON.parse(data) };
  });
}

it("streams the API's events in the API's order, each named like its data", async () => {
  const { url, setScript } = await start();
  const tool = { type: "tool_use", id: "toolu_1", name: "a__b", input: { path: "a long enough path" } } as const;
  const blocks = [{ type: "thinking", thinking: "So so." }, { type: "text", text: "Hello you." }, tool] as const;
  setScript([{ kind: "answer", blocks }]);
  const response = await post(url, { ...ask, stream: true });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  expect(response.headers.get("request-id")).toMatch(/^req_/);
  const seen = await events(response);
  for (const { event, data } of seen) expect(data.type).toBe(event);
  const kinds = seen.map(({ event, data }) => (data.delta as { type?: string } | undefined)?.type ?? event);
  expect(kinds).toEqual([
    "message_start",
    "content_block_start",
    "ping",
    "thinking_delta",
    "thinking_delta",
    "signature_delta",
    "content_block_stop",
    "content_block_start",
    "text_delta",
    "text_delta",
    "content_block_stop",
    "content_block_start",
    "input_json_delta",
    "input_json_delta",
    "input_json_delta",
    "input_json_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  const json = seen
    .map(({ data }) => (data.delta as { partial_json?: string } | undefined)?.partial_json ?? "")
    .join("");
  expect(JSON.parse(json)).toEqual(tool.input);
  expect(seen.at(-2)?.data).toMatchObject({ delta: { stop_reason: "tool_use" }, usage: { output_tokens: 8 } });
});

it.each([0, 1])("streams N tokens (delay %i ms) from prepared chunks", async (tokenDelayMs) => {
  const { url } = await start({ tokens: 7, tokenDelayMs });
  const seen = await events(await post(url, { ...ask, stream: true }));
  const texts = seen.flatMap(({ data }) => (data.delta as { text?: string } | undefined)?.text ?? []);
  expect(texts).toEqual(["token1", " token2", " token3", " token4", " token5", " token6", " token7"]);
  expect(seen.at(-1)?.event).toBe("message_stop");
});

it("answers a call without stream with the whole message", async () => {
  const { url } = await start({ tokens: 2 });
  const message = await (await post(url, ask)).json();
  expect(message).toMatchObject({
    type: "message",
    content: [{ type: "text", text: "token1 token2" }],
    stop_reason: "end_turn",
  });
});

it("fails the first calls as scripted, with the API's error body, and says nothing of the key in its record", async () => {
  const { url, requests, setScript } = await start();
  setScript([apiError(529), apiError(429, { headers: { "retry-after": "3" } }), { kind: "tokens", tokens: 1 }]);
  const first = await post(url, ask);
  expect([first.status, await first.json()]).toMatchObject([
    529,
    { type: "error", error: { type: "overloaded_error" } },
  ]);
  const second = await post(url, ask);
  expect([second.status, second.headers.get("retry-after")]).toEqual([429, "3"]);
  expect((await post(url, ask)).status).toBe(200);
  expect(requests().map((request) => request.status)).toEqual([529, 429, 200]);
  expect(JSON.stringify(requests())).not.toContain("x-api-key");
});

const call = { type: "tool_use", id: "t1", name: "a__b", input: {} };
const answered = { type: "tool_result", tool_use_id: "t1", content: "ok" };
const turn = (role: string, ...content: object[]) => ({ role, content });
const hi = turn("user", { type: "text", text: "hi" });
const png = makePng(3, 3);
const picture = (bytes: Buffer) => ({
  type: "image",
  source: { type: "base64", media_type: "image/png", data: bytes.toString("base64") },
});
const failedWith = (...content: object[]) => turn("user", { ...answered, content, is_error: true });
const schemaTool = (schema: object) => ({ name: "a", input_schema: { type: "object", ...schema } });
const tools = [{ name: "a__b", input_schema: { type: "object" } }];

it.each<[string, object]>([
  ["no model", { model: undefined }],
  ["no max_tokens", { max_tokens: undefined }],
  ["an unknown field", { temperature: 1 }],
  ["no messages", { messages: [] }],
  ["an answer first", { messages: [turn("assistant", { type: "text", text: "x" }), hi] }],
  ["two of one role", { messages: [hi, hi] }],
  ["an answer last", { messages: [hi, turn("assistant", { type: "text", text: "x" })] }],
  ["blank text", { messages: [turn("user", { type: "text", text: " " })] }],
  ["a dot in a tool's name", { tools: [{ name: "a.b", input_schema: { type: "object" } }] }],
  ["two tools of one name", { tools: [...tools, ...tools] }],
  ["a schema of no object", { tools: [{ name: "a", input_schema: {} }] }],
  ["a call without result", { tools, messages: [hi, turn("assistant", call), hi] }],
  ["a result without call", { tools, messages: [turn("user", answered)] }],
  [
    "a result after text",
    { tools, messages: [hi, turn("assistant", call), turn("user", { type: "text", text: "x" }, answered)] },
  ],
  ["calls without tools", { messages: [hi, turn("assistant", call), turn("user", answered)] }],
  [
    "a forged signature",
    {
      messages: [
        hi,
        turn(
          "assistant",
          { type: "thinking", thinking: "a", signature: signThinking("b") },
          { type: "text", text: "x" },
        ),
        hi,
      ],
    },
  ],
  [
    "thinking at the end",
    { messages: [hi, turn("assistant", { type: "thinking", thinking: "a", signature: signThinking("a") }), hi] },
  ],
  ["a property that is no legal key", { tools: [schemaTool({ properties: { "Start>": {} } })] }],
  [
    "an illegal key deep in a schema",
    { tools: [schemaTool({ $defs: { a: { anyOf: [{ properties: { "": {} } }] } } })] },
  ],
  ["a key over 64 letters", { tools: [schemaTool({ properties: { ["k".repeat(65)]: {} } })] }],
  ["a schema of draft 4", { tools: [schemaTool({ properties: { a: { exclusiveMinimum: true } } })] }],
  ["a schema of an unknown type", { tools: [schemaTool({ properties: { a: { type: "strnig" } } })] }],
  ["a picture in a failed result", { tools, messages: [hi, turn("assistant", call), failedWith(picture(png))] }],
  ["a picture of another type", { messages: [turn("user", picture(makeJpeg(3, 3)))] }],
  ["an empty picture", { messages: [turn("user", picture(Buffer.alloc(0)))] }],
  ["a picture that can't be read", { messages: [turn("user", picture(Buffer.from("no picture")))] }],
  ["a picture of 8 001 pixels", { messages: [turn("user", picture(makePng(8_001, 1)))] }],
  [
    "a picture of 2 001 pixels among 21",
    { messages: [turn("user", ...Array.from({ length: 20 }, () => picture(png)), picture(makePng(1, 2_001)))] },
  ],
  ["a picture of over 5 MB", { messages: [turn("user", picture(Buffer.concat([png, Buffer.alloc(4_000_000)])))] }],
  ["half a surrogate pair", { messages: [turn("user", { type: "text", text: "a \ud83d b" })] }],
  ["more than fits", { messages: [turn("user", { type: "text", text: "word ".repeat(200_000) })] }],
  ["a small thinking budget", { thinking: { type: "enabled", budget_tokens: 10 } }],
  ["a kind of thinking that the model has not", { model: "claude-sonnet-5-5", thinking: { type: "disabled" } }],
])("refuses %s with 400", async (_what, change) => {
  const { url } = await start();
  const response = await post(url, { ...ask, ...change });
  expect([response.status, await response.json()]).toMatchObject([400, { error: { type: "invalid_request_error" } }]);
});

it("takes pictures of every kind, two of 8 000 pixels, and 21 of 2 000", async () => {
  const { url } = await start();
  const typed = (type: string, bytes: Buffer) => ({
    type: "image",
    source: { type: "base64", media_type: type, data: bytes.toString("base64") },
  });
  const kinds = [
    typed("image/jpeg", makeJpeg(8_000, 2)),
    typed("image/gif", makeGif(5, 5)),
    picture(makePng(8_000, 1)),
  ];
  expect((await post(url, { ...ask, messages: [turn("user", ...kinds)] })).status).toBe(200);
  const many = Array.from({ length: 21 }, () => picture(makePng(2_000, 1)));
  expect((await post(url, { ...ask, messages: [turn("user", ...many)] })).status).toBe(200);
});

it("refuses more tokens than it is told to take, in the API's words", async () => {
  const { url } = await start({ contextTokens: 100 });
  const response = await post(url, { ...ask, messages: [turn("user", { type: "text", text: "x".repeat(1_000) })] });
  expect(await response.json()).toMatchObject({
    error: { message: expect.stringMatching(/^prompt is too long: \d+ tokens > 100 maximum$/) },
  });
});

it("sends exactly the bytes of a script, and lets an answer's events be changed", async () => {
  const { url, setScript } = await start();
  const raw = { kind: "raw", headers: { "content-type": "text/html" }, pieces: ["<h1>", "no</h1>"] } as const;
  const edited: FakeReply = {
    kind: "answer",
    blocks: [{ type: "text", text: "a b" }],
    edit: (all) => all.filter(({ data }) => data.type !== "message_delta"),
    frame: (data) => `data: ${JSON.stringify(data)}\n\n`,
    trailer: "data: more",
  };
  setScript([raw, edited]);
  expect(await (await post(url, { ...ask, stream: true })).text()).toBe("<h1>no</h1>");
  const sent = await (await post(url, { ...ask, stream: true })).text();
  expect(sent).not.toContain("event:");
  expect(sent).not.toContain("message_delta");
  expect(sent.endsWith("data: more")).toBe(true);
});

it("keeps the connection of an answer open when it is told to", async () => {
  const { url, setScript, requests } = await start();
  setScript([{ kind: "answer", blocks: [{ type: "text", text: "a" }], keepsOpen: true }]);
  const response = await post(url, { ...ask, stream: true });
  const reader = response.body?.getReader();
  let seen = "";
  while (!seen.includes("message_stop")) seen += new TextDecoder().decode((await reader?.read())?.value);
  const more = reader?.read().then(() => "more");
  expect(await Promise.race([more, new Promise((resolve) => setTimeout(resolve, 100, "open"))])).toBe("open");
  await reader?.cancel();
  expect(requests()[0]?.status).toBe(200);
});

it("refuses a missing key and an unknown model", async () => {
  const { url } = await start({ apiKey: "right" });
  expect((await post(url, ask)).status).toBe(401);
  expect((await post(url, { ...ask, model: "gpt" }, { "x-api-key": "right" })).status).toBe(404);
  expect((await post(url, ask, { "x-api-key": "right" })).status).toBe(200);
});

it("lists models with what they can do", async () => {
  const { url } = await start();
  const headers = { authorization: "Bearer k", "anthropic-version": "2026-10-21" };
  const list = await (await fetch(`${url}/v1/models`, { headers })).json();
  expect(list).toMatchObject({ data: expect.arrayContaining([expect.objectContaining({ id: "claude-sonnet-5-5" })]) });
  expect((await fetch(`${url}/v1/models/gpt`, { headers })).status).toBe(404);
});

it("runs as a process of its own, prints its address first and keeps a history file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fake-anthropic-"));
  const history = join(folder, "history.jsonl");
  const main = join(import.meta.dirname, "main.ts");
  const child = spawn(process.execPath, [main, "--tokens", "3", "--history", history], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [url] = (await once(createInterface(child.stdout), "line")) as [string];
    await (await post(url, { ...ask, stream: true })).text();
    await expect.poll(async () => (await readFile(history, "utf8")).trim().split("\n").length).toBe(2);
    const lines = (await readFile(history, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { kind: "request", call: 0 },
      { kind: "outcome", status: 200, outcome: "answered" },
    ]);
  } finally {
    const gone = once(child, "exit");
    child.kill();
    await gone;
    await rm(folder, { recursive: true });
  }
});
