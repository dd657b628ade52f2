import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { type Answer, usual } from "../../../../test/support/sloppy-mcp/script.ts";
import { connectHttp, methodsOf } from "../connection.fixture.ts";

const done = { kind: "answered", answer: { content: [{ kind: "text", text: "done" }] } };
const greeting = {
  protocolVersion: "2025-06-18",
  capabilities: { tools: {} },
  serverInfo: { name: "s", version: "1" },
};

describe(`a server without a stream of its own ${verifies("FS1")}`, () => {
  it.each<[string, Answer]>([
    ["404", [{ status: 404 }]],
    ["405", [{ status: 405 }]],
    ["400", [{ status: 400 }, { raw: "no GET here" }]],
    ["406", [{ status: 406 }]],
    ["501", [{ status: 501 }]],
    ["500", [{ status: 500 }]],
    ["401", [{ status: 401 }]],
    ["a redirect", [{ status: 302, headers: { location: "/login" } }]],
    ["a page", [{ status: 200, headers: { "content-type": "text/html" } }, { raw: "<h1>hello</h1>" }]],
    ["200 with JSON", [{ status: 200 }, { raw: "{}" }]],
    ["204", [{ status: 204 }]],
    ["a closed connection", [{ cut: true }]],
    ["a stream that ends at once", [{ stream: true }]],
    ["a stream that breaks off", [{ stream: true }, { raw: "data: {" }, { cut: true }]],
    ["no answer at all", [{ hang: true }]],
  ])("that answers GET with %s is called, and initialised once", async (_case, answer) => {
    const session = { status: 200, headers: { "mcp-session-id": "s1" } };
    const { call, server, connection } = await connectHttp({
      initialize: [[session, { result: greeting }]],
      GET: [answer],
    });
    await expect.poll(() => methodsOf(server.requests)).toContain("GET");
    for (let time = 0; time < 3; time++) expect(await call()).toMatchObject(done);
    expect(methodsOf(server.requests).filter((method) => method === "initialize")).toHaveLength(1);
    await connection.close();
    expect(await connection.closed).toEqual({ kind: "closed" });
  });
});

describe(`a server that forgot its session ${verifies("FS2", "F3")}`, () => {
  const sessions = ["s1", "s2", "s3"].map(
    (id): Answer => [{ status: 200, headers: { "mcp-session-id": id } }, { result: greeting }],
  );
  const error = (message: string, id: unknown = null) => ({
    send: { jsonrpc: "2.0", id, error: { code: -32001, message } },
  });

  it.each<[string, Answer]>([
    ["404", [{ status: 404 }]],
    ["404 in words", [{ status: 404, headers: { "content-type": "text/plain" } }, { raw: "session not found" }]],
    ["404 with an error of JSON-RPC", [{ status: 404 }, error("Session not found")]],
    ["400", [{ status: 400 }]],
    ["400 in words", [{ status: 400, headers: { "content-type": "text/plain" } }, { raw: "No valid session ID" }]],
    [
      "400 with an error of JSON-RPC",
      [{ status: 400 }, error("Bad Request: No valid session ID provided", "server-error")],
    ],
    ["400 with an error for this very request", [{ status: 400 }, error("Server not initialized", "$id")]],
    ["410", [{ status: 410 }]],
  ])("that answers a call with %s is initialised once more, and the call made again", async (_case, answer) => {
    const { call, server, connection, changes } = await connectHttp({
      initialize: sessions,
      "tools/call": [answer, usual],
    });
    expect(await call()).toMatchObject(done);
    const calls = server.requests.filter(({ method }) => method === "tools/call");
    expect(calls.map(({ headers }) => headers["mcp-session-id"])).toEqual(["s1", "s2"]);
    expect(await call()).toMatchObject(done);
    expect(methodsOf(server.requests).filter((method) => method === "initialize")).toHaveLength(2);
    // The new session may have other tools.
    expect(changes()).toBe(1);
    await connection.close();
    expect(server.requests.at(-1)).toMatchObject({ method: "DELETE", headers: { "mcp-session-id": "s2" } });
  });

  it("tells by a ping whether other words of a 400 mean the session, and keeps one that lives", async () => {
    const refusal: Answer = [
      { status: 400, headers: { "content-type": "text/plain" } },
      { raw: "the path is outside" },
    ];
    const lives = await connectHttp({ initialize: sessions, "tools/call": [refusal] });
    for (let time = 0; time < 2; time++) {
      expect(await lives.call()).toEqual({ kind: "refused", problem: "it answered HTTP 400: the path is outside" });
    }
    expect(methodsOf(lives.server.requests).filter((method) => method === "initialize")).toHaveLength(1);
    const gone = await connectHttp({ initialize: sessions, "tools/call": [refusal, usual], ping: [refusal] });
    expect(await gone.call()).toMatchObject(done);
  });

  it("and refuses again, refuses the call with its words, and is asked again by the next call alone", async () => {
    const refusal: Answer = [{ status: 400 }, error("No valid session ID")];
    const { call, server } = await connectHttp({
      initialize: sessions,
      "tools/call": [refusal, refusal, refusal, usual],
    });
    expect(await call()).toEqual({ kind: "refused", problem: "it answered HTTP 400: No valid session ID" });
    expect(methodsOf(server.requests).filter((method) => method === "initialize")).toHaveLength(2);
    expect(await call()).toMatchObject(done);
    expect(methodsOf(server.requests).filter((method) => method === "initialize")).toHaveLength(3);
  });

  it("and begins no new one, refuses the call with its words, and stays", async () => {
    const closed: Answer = [{ status: 403, headers: { "content-type": "text/plain" } }, { raw: "closed for today" }];
    const { call, connection } = await connectHttp({
      initialize: [sessions[0] ?? [], closed, sessions[1] ?? []],
      "tools/call": [[{ status: 404 }], [{ status: 404 }], usual],
    });
    const end = await call();
    expect(end).toMatchObject({ kind: "refused" });
    expect(JSON.stringify(end)).toContain("closed for today");
    expect(await call()).toMatchObject(done);
    await connection.close();
    expect(await connection.closed).toEqual({ kind: "closed" });
  });

  it("is initialised once for all calls that were refused, and what is in flight in the old session still comes", async () => {
    const refusal: Answer = [{ status: 404 }];
    const { call, server } = await connectHttp({
      initialize: sessions,
      "tools/call long": [
        [{ stream: true }, { delayMs: 1500 }, { result: { content: [{ type: "text", text: "long" }] } }],
      ],
      "tools/call work": [refusal, refusal, refusal, refusal, usual],
    });
    const long = call({ name: "long" });
    await expect.poll(() => server.requests.some(({ method }) => method === "tools/call")).toBe(true);
    const ends = await Promise.all([call(), call(), call(), call()]);
    for (const end of ends) expect(end).toMatchObject(done);
    expect(methodsOf(server.requests).filter((method) => method === "initialize")).toHaveLength(2);
    expect(await long).toMatchObject({ kind: "answered", answer: { content: [{ text: "long" }] } });
  });
});

describe(`how a call over HTTP ended ${verifies("F3", "FA8")}`, () => {
  const plain = { "content-type": "text/plain" };
  const rpcError = { error: { code: -32050, message: "no such row" } };
  const large = 17 * 1024 * 1024;

  it.each<[string, Answer, object]>([
    [
      "422 in words",
      [{ status: 422, headers: plain }, { raw: "bad row" }],
      { kind: "refused", problem: "it answered HTTP 422: bad row" },
    ],
    [
      "429",
      [{ status: 429, headers: plain }, { raw: "slow down" }],
      { kind: "refused", problem: "it answered HTTP 429: slow down" },
    ],
    ["401", [{ status: 401 }, rpcError], { kind: "refused" }],
    ["a redirect", [{ status: 307, headers: { location: "/x" } }], { kind: "refused" }],
    ["501", [{ status: 501 }], { kind: "refused" }],
    [
      "an error of JSON-RPC with 400",
      [{ status: 400 }, rpcError],
      { kind: "rejected", problem: "MCP error -32050: no such row" },
    ],
    [
      "an error of JSON-RPC with 500",
      [{ status: 500 }, rpcError],
      { kind: "rejected", problem: "MCP error -32050: no such row" },
    ],
    [
      "an error without an id with 400",
      [{ status: 400 }, { raw: '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"bad"}}' }],
      { kind: "rejected" },
    ],
    [
      "an error without an id with 200",
      [{ raw: '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"bad"}}' }],
      { kind: "rejected" },
    ],
    ["a result with 500", [{ status: 500 }, { usual: true }], { kind: "answered" }],
    [
      "500 in words",
      [{ status: 500, headers: plain }, { raw: "oops" }],
      { kind: "lost", problem: "it answered HTTP 500: oops" },
    ],
    [
      "502 of a gateway",
      [{ status: 502, headers: { "content-type": "text/html" } }, { raw: "<html>" }],
      { kind: "lost", problem: "it answered HTTP 502" },
    ],
    [
      "a page",
      [{ status: 200, headers: { "content-type": "text/html" } }, { raw: "<h1>login</h1>" }],
      { kind: "unreadable" },
    ],
    ["half a JSON text", [{ raw: '{"jsonrpc":"2.0","id":$id,"result":{' }], { kind: "unreadable" }],
    ["another request's answer", [{ raw: '{"jsonrpc":"2.0","id":12345,"result":{}}' }], { kind: "unreadable" }],
    ["a result that is a text", [{ result: "done" }], { kind: "unreadable", problem: "its result is not an object" }],
    ["an event that is no JSON", [{ stream: true }, { raw: "data: oops\n\n" }], { kind: "lost" }],
    [
      "an event with both",
      [{ stream: true }, { send: { jsonrpc: "2.0", id: "$id", result: {}, error: { code: 1, message: "x" } } }],
      { kind: "unreadable" },
    ],
    ["nothing", [], { kind: "lost" }],
    ["a stream that ends", [{ stream: true }, { raw: ": hello\n\n" }], { kind: "lost" }],
    ["a body that breaks off", [{ raw: '{"jsonrpc"' }, { cut: true }], { kind: "lost" }],
    ["a connection that breaks off", [{ cut: true }], { kind: "lost" }],
    [
      "17 MiB",
      [
        { raw: '{"jsonrpc":"2.0","id":$id,"result":{"content":[{"type":"text","text":"' },
        { fill: "x", bytes: large },
        { raw: '"}]}}' },
      ],
      { kind: "unreadable", problem: "it is longer than 16777216 bytes" },
    ],
    [
      "17 MiB as an event",
      [
        { stream: true },
        { raw: 'data: {"result":{"content":[{"type":"text","text":"' },
        { fill: "x", bytes: large },
        { raw: '"}]},"jsonrpc":"2.0","id":$id}\n\n' },
      ],
      { kind: "unreadable", problem: "it is longer than 16777216 bytes" },
    ],
    [
      "5 MB as an event",
      [
        { stream: true },
        { raw: 'data: {"jsonrpc":"2.0","id":$id,"result":{"content":[{"type":"text","text":"' },
        { fill: "x", bytes: 5_000_000 },
        { raw: '"}]}}\n\n' },
      ],
      { kind: "answered" },
    ],
    [
      "17 MiB of a notification, then the answer",
      [
        { stream: true },
        { raw: 'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' },
        { fill: "x", bytes: large },
        { raw: '"}}\n\n' },
        { usual: true },
      ],
      { kind: "answered" },
    ],
  ])("that is answered with %s is known", async (_case, answer, end) => {
    const { call, server } = await connectHttp({ "tools/call": [answer, usual] });
    expect(await call()).toMatchObject(end);
    expect(await call()).toMatchObject(done);
    expect(methodsOf(server.requests).filter((method) => method === "initialize")).toHaveLength(1);
  });

  it("that nobody took was never sent, and ends the connection", async () => {
    const { call, connection, server } = await connectHttp({});
    await server.stop();
    const end = await call();
    expect(end.kind).toBe("not-sent");
    expect(await connection.closed).toMatchObject({ kind: "ended", problem: expect.stringContaining("ECONNREFUSED") });
  });

  it("does not depend on what the server says to notifications", async () => {
    const { call } = await connectHttp({ "notifications/initialized": [[{ status: 400 }, { raw: "session?" }]] });
    expect(await call()).toMatchObject(done);
  });
});
