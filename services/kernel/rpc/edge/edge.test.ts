import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:http2";
import { describe, expect, it, onTestFinished } from "vitest";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { allowedOrigin, localToken, served, serveRpcs } from "../served-rpcs.fixture.ts";

const getSession = "/atoll.session.v1.SessionService/GetSession";
const json = {
  "content-type": "application/json",
  "connect-protocol-version": "1",
  authorization: `Bearer ${localToken}`,
};
/** How a browser fetches an RPC without side effects. */
const asGet = `${getSession}?connect=v1&encoding=json&message=${encodeURIComponent('{"sessionId":"ses_1"}')}`;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function serve() {
  let calls = 0;
  const mesh = await serveRpcs([
    served(SessionService, {
      getSession() {
        calls += 1;
        return { session: { sessionId: "ses_1" } };
      },
    }),
  ]);
  const { port } = mesh.listener;
  const ask = async (
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body = "",
  ): Promise<Answer> => {
    const request = httpRequest({
      port,
      host: "127.0.0.1",
      method,
      path,
      headers,
      setHost: headers["host"] === undefined,
    });
    request.end(body);
    const [response] = await once(request, "response");
    let text = "";
    for await (const chunk of response) text += chunk;
    return { status: response.statusCode, headers: response.headers, body: text };
  };
  return { ask, port, calls: () => calls, url: mesh.listener.url };
}

describe("the door", () => {
  it("answers 421 under a host that is not ours, for RPCs and for the page", async () => {
    const { ask, port, calls } = await serve();
    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      `127.0.0.1:${port + 1}`,
      "mesh.example.evil.example",
      "a b",
    ]) {
      expect((await ask("POST", getSession, { ...json, host }, '{"sessionId":"ses_1"}')).status, host).toBe(421);
      expect((await ask("GET", "/", { host })).status, host).toBe(421);
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, "mesh.example"]) {
      expect((await ask("POST", getSession, { ...json, host }, '{"sessionId":"ses_1"}')).status, host).toBe(200);
    }
    expect(calls()).toBe(3);
  });

  it("answers 421 for an HTTP/2 :authority that is not ours", async () => {
    const { url, port } = await serve();
    const session = connect(url);
    onTestFinished(() => session.destroy());
    const statusOf = async (authority: string): Promise<unknown> => {
      const stream = session.request({ ":authority": authority, ":path": "/" });
      const [headers] = await once(stream, "response");
      stream.close();
      return headers[":status"];
    };
    expect(await statusOf("evil.example")).toBe(421);
    expect(await statusOf(`localhost:${port}`)).toBe(200);
  });

  it.each([
    ["a fetch of another origin", { origin: "http://evil.example" }],
    ["a fetch of another site", { origin: "http://evil.example", "sec-fetch-site": "cross-site" }],
    ["a form, image or link of another site, without an origin", { "sec-fetch-site": "cross-site" }],
    ["a page of the same site but another port", { "sec-fetch-site": "same-site" }],
    ["a sandboxed page", { origin: "null" }],
  ])("answers 403 to %s, GET included, whatever token it has", async (_case, headers) => {
    const { ask, calls } = await serve();
    expect((await ask("POST", getSession, { ...json, ...headers }, '{"sessionId":"ses_1"}')).status).toBe(403);
    expect((await ask("GET", asGet, { authorization: json.authorization, ...headers })).status).toBe(403);
    expect((await ask("OPTIONS", getSession, headers)).status).toBe(403);
    expect(calls()).toBe(0);
  });

  it("answers its own page and programs, GET included", async () => {
    const { ask, port } = await serve();
    const own = { origin: `http://127.0.0.1:${port}`, "sec-fetch-site": "same-origin" };
    expect((await ask("POST", getSession, { ...json, ...own }, '{"sessionId":"ses_1"}')).status).toBe(200);
    expect((await ask("GET", asGet, { authorization: json.authorization })).status).toBe(200);
  });

  it("does not look for a token in the query", async () => {
    const { ask, calls } = await serve();
    for (const name of ["token", "access_token", "authorization"]) {
      expect((await ask("GET", `${asGet}&${name}=${localToken}`)).status).toBe(401);
    }
    expect(calls()).toBe(0);
  });
});

describe("a page of an allowed origin", () => {
  it("has its preflight answered without a token and may read answers", async () => {
    const { ask } = await serve();
    const from = { origin: allowedOrigin, "sec-fetch-site": "cross-site" };
    const asked = {
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,connect-protocol-version",
    };
    const preflight = await ask("OPTIONS", getSession, { ...from, ...asked });
    expect(preflight.status).toBe(204);
    expect(preflight.headers["access-control-allow-origin"]).toBe(allowedOrigin);
    expect(preflight.headers["access-control-allow-methods"]).toContain("POST");
    const allowed = String(preflight.headers["access-control-allow-headers"]).toLowerCase().split(/, */);
    for (const name of asked["access-control-request-headers"].split(",")) expect(allowed).toContain(name);
    expect(preflight.headers["access-control-allow-credentials"]).toBeUndefined();
    const answer = await ask("POST", getSession, { ...json, ...from }, '{"sessionId":"ses_1"}');
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBe(allowedOrigin);
    expect(answer.headers["vary"]).toContain("origin");
  });

  it("may read why it was refused", async () => {
    const { ask } = await serve();
    const answer = await ask(
      "POST",
      getSession,
      { ...json, authorization: "Bearer wrong", origin: allowedOrigin },
      "{}",
    );
    expect(answer.status).toBe(401);
    expect(answer.headers["access-control-allow-origin"]).toBe(allowedOrigin);
  });

  it("is the only one: nobody else is told that an answer may be read", async () => {
    const { ask, port } = await serve();
    const answer = await ask(
      "POST",
      getSession,
      { ...json, origin: `http://127.0.0.1:${port}` },
      '{"sessionId":"ses_1"}',
    );
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });
});

describe("what is no RPC", () => {
  it("is the page's", async () => {
    const { ask } = await serve();
    for (const path of ["/", "/s/ses_1", "/assets/index.js", "/a.b/c/d", "//evil.example/x", "/?x=/a.b/c"]) {
      expect(await ask("GET", path)).toMatchObject({ status: 200, body: `page ${path}` });
    }
  });

  it("is not found, instead of the page, when it looks like an RPC of a service that is not here", async () => {
    const { ask } = await serve();
    for (const path of ["/elsewhere.v1.EchoService/Echo", "/atoll.session.v1.SessionService/NoSuchMethod"]) {
      expect((await ask("POST", path, json, "{}")).status).toBe(404);
      expect((await ask("POST", path, { "content-type": "application/grpc" }, "")).status).toBe(404);
    }
  });
});
