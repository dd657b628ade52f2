import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { ConnectError, createClient, createContextValues, createRouterTransport } from "@connectrpc/connect";
import { expect, it, onTestFinished, vi } from "vitest";
import { RawSessionService } from "../hops/raw-session-service.ts";
import { administrator, onBehalfOf, served, serveRpcs } from "../served-rpcs.fixture.ts";
import { createFastUnary } from "./fast-unary.ts";
import { ask, call, listEvents, openSession } from "./unary-calls.fixture.ts";

it("is only taken when it is one of our own services': the library has the rest", async () => {
  const fast = createFastUnary({});
  createRouterTransport((router) => {
    fast.noting(router).rpc(RawSessionService.method.getSession, () => ({}));
  });
  const taken: boolean[] = [];
  const server = createServer((request, response) => {
    const answering = fast.take(request, response, createContextValues);
    taken.push(answering !== undefined);
    if (answering === undefined) response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const session = openSession(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const left = [
    { "content-type": "application/json" },
    { "content-type": "application/connect+proto" },
    { "accept-encoding": "gzip" },
    { "content-encoding": "gzip" },
    { "connect-protocol-version": [] },
    { ":path": listEvents },
    { ":method": "PUT" },
  ];
  for (const headers of [{}, ...left]) await call(session, headers, ask("ses_1"));
  expect(taken).toEqual([true, ...left.map(() => false)]);
});

it("is what a service of the mesh sends to another one", async () => {
  const mesh = await serveRpcs([served(RawSessionService, { getSession: () => ({}) })]);
  const taken = vi.spyOn(AbortController.prototype, "abort");
  onTestFinished(() => taken.mockRestore());
  await createClient(RawSessionService, mesh.remote).getSession(
    { by: { case: "sessionId", value: "ses_1" } },
    onBehalfOf(administrator),
  );
  const reasons = taken.mock.calls.map(([reason]) => (reason instanceof ConnectError ? reason.rawMessage : ""));
  expect(reasons).toContain("the call has ended");
});
