import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSocketServer, type Server } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { startFakeAnthropic } from "../../../test/support/fake-anthropic/start-fake-anthropic.ts";
import { askModelApi } from "./ask-model-api.ts";

const apiKey = "made-up-secret";

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  return `http://127.0.0.1:${address.port}`;
}

async function serve(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  onTestFinished(() => server.closeAllConnections());
  return listen(server);
}

/** Answers by path; everything else is 404 without a body. */
function answers(replies: Readonly<Record<string, readonly [status: number, body: unknown]>>): RequestListener {
  return (request, response) => {
    const [status, body] = replies[`${request.method} ${request.url}`] ?? [404, undefined];
    response.writeHead(status, { "content-type": "application/json" });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

it("says ✓ of an API that takes the key and has the model, and of nothing else", async () => {
  const fake = await startFakeAnthropic({ apiKey });
  onTestFinished(() => fake.close());
  const ask = (model: string, key = apiKey) => askModelApi({ baseUrl: fake.url, apiKey: key }, model);
  expect(await ask("claude-haiku-4-5")).toEqual({
    verdict: "ok",
    text: `${fake.url} answers, takes the key and has it`,
  });
  expect(await ask("gpt-made-up")).toMatchObject({
    verdict: "wrong",
    text: expect.stringMatching(/no model of this name/),
  });
  expect(await ask("claude-haiku-4-5", "wrong")).toMatchObject({
    verdict: "wrong",
    text: expect.stringMatching(/refuses the key \(401\)/),
  });
  // Asking costs nothing: no message was made.
  expect(fake.requests()).toEqual([]);
});

const ownError = { type: "error", error: { type: "invalid_request_error", message: "messages: required" } };

it.each([
  ["a web page", answers({ "GET /v1/models/m": [200, "<html>hello</html>"] }), "wrong", /not as a Messages API/],
  ["JSON of something else", answers({ "GET /v1/models/m": [200, { hello: 1 }] }), "wrong", /not as a Messages API/],
  ["a server without these paths", answers({}), "wrong", /not as a Messages API \(404\)/],
  [
    "a proxy without a list of models",
    answers({ "POST /v1/messages": [400, ownError] }),
    "note",
    /takes the key; only a run/,
  ],
  [
    "a proxy that refuses the key there",
    answers({ "POST /v1/messages": [401, ownError] }),
    "wrong",
    /refuses the key \(401\)/,
  ],
  ["a forbidden key", answers({ "GET /v1/models/m": [403, ownError] }), "wrong", /refuses the key \(403\)/],
  ["an overloaded API", answers({ "GET /v1/models/m": [529, ownError] }), "note", /is busy \(529\)/],
  ["a broken API", answers({ "GET /v1/models/m": [502, "bad gateway"] }), "wrong", /fails \(502\)/],
] as const)("tells %s", async (_, handler, verdict, text) => {
  const finding = await askModelApi({ baseUrl: await serve(handler), apiKey }, "m");
  expect(finding).toMatchObject({ verdict, text: expect.stringMatching(text) });
  expect(finding.text).not.toContain(apiKey);
});

it("sends the key over no redirect", async () => {
  const asked: string[] = [];
  const other = await serve((request, response) => {
    asked.push(request.url ?? "");
    response.end();
  });
  const from = await serve((_, response) => response.writeHead(307, { location: `${other}/v1/models/m` }).end());
  expect(await askModelApi({ baseUrl: from, apiKey }, "m")).toMatchObject({
    verdict: "wrong",
    text: expect.stringMatching(/\(307/),
  });
  expect(asked).toEqual([]);
});

it("ends its wait for an address that is dead, deaf, or never ends its answer", async () => {
  const closed = createSocketServer();
  const baseUrl = await listen(closed);
  await new Promise((done) => closed.close(done));
  const nobody = await askModelApi({ baseUrl, apiKey }, "m");
  expect(nobody).toMatchObject({ verdict: "wrong", text: expect.stringMatching(/not reachable \(ECONNREFUSED\)/) });
  const deaf = await listen(createSocketServer((socket) => socket.on("error", () => undefined).resume()));
  expect(await askModelApi({ baseUrl: deaf, apiKey }, "m")).toMatchObject({
    verdict: "wrong",
    text: expect.stringMatching(/does not answer within 5000 ms/),
  });
  const endless = await serve((_, response) => {
    response.writeHead(200);
    const more = setInterval(() => response.write("x".repeat(50_000)), 10);
    response.once("close", () => clearInterval(more));
  });
  expect(await askModelApi({ baseUrl: endless, apiKey }, "m")).toMatchObject({ verdict: "wrong" });
});

it("shows an address without what is secret in it", async () => {
  const { text } = await askModelApi({ baseUrl: "http://me:secret@127.0.0.1:9/prefix", apiKey }, "m");
  expect(text).not.toContain("secret");
});
