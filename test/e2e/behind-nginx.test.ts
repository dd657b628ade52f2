/** A real nginx with its defaults in front: streams arrive as they are written, and the page stands under a path of its own. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { verifies } from "../requirements.ts";
import { checkReasons } from "../support/check-reasons.ts";
import { type MeshProcess, runCommand, startMeshProcess } from "../support/mesh-process.ts";
import { clientOver, expectDense, inSession, say } from "./mesh-client.fixture.ts";

vi.setConfig({ testTimeout: 120_000 });

const nginx = "/usr/sbin/nginx";
let folder: string;
let mesh: MeshProcess;
let publicUrl: string;
let stopNginx: () => void;

beforeAll(async () => {
  expect(existsSync(nginx), "Debian's nginx-light is needed").toBe(true);
  folder = mkdtempSync(join(tmpdir(), "atoll-nginx-"));
  const port = await freePort();
  publicUrl = `http://localhost:${port}/atoll`;
  const config = {
    mcpServers: { filesystem: { disabled: true } },
    access: { publicUrl: `${publicUrl}/` },
    models: { offline: { tokenDelayMs: 2 } },
  };
  mesh = await startMeshProcess({ config: JSON.stringify(config) });
  // What a person writes who has read nothing: the default of HTTP/1.0, of the Host header and of buffering.
  writeConfig(port, `location /atoll/ { proxy_pass ${mesh.url}/; }`);
  const child = spawn(nginx, ["-c", join(folder, "nginx.conf"), "-p", folder, "-g", "daemon off;"], {
    stdio: "inherit",
  });
  stopNginx = () => void child.kill("SIGTERM");
  await vi.waitFor(async () => expect(await canConnect(port)).toBe(true), { timeout: 30_000 });
}, 120_000);
afterAll(async () => {
  stopNginx();
  await mesh.stop("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function writeConfig(port: number, locations: string): void {
  for (const name of ["body", "proxy", "fastcgi", "uwsgi", "scgi"]) mkdirSync(join(folder, name));
  const paths = ["fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join("\n");
  const text = `
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  ${paths}
  server {
    listen 127.0.0.1:${port};
    ${locations}
  }
}
`;
  writeFileSync(join(folder, "nginx.conf"), process.getuid?.() === 0 ? `user root;${text}` : text);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function transports(): Readonly<Record<string, Transport>> {
  const authorize: Interceptor = (next) => (call) => {
    call.header.set("authorization", `Bearer ${mesh.token}`);
    return next(call);
  };
  const options = { baseUrl: publicUrl, interceptors: [authorize], httpVersion: "1.1" as const };
  return {
    Connect: checkReasons(createConnectTransport({ ...options, useBinaryFormat: true })),
    "Connect with JSON": checkReasons(createConnectTransport(options)),
    "gRPC-Web": checkReasons(createGrpcWebTransport(options)),
  };
}

describe(`behind nginx with its defaults ${verifies("FE3")}`, () => {
  test("the last words of an answer arrive while the stream stays open, in every protocol that passes", async () => {
    for (const [name, transport] of Object.entries(transports())) {
      const { sessionId, runId } = await say(clientOver(transport), "hello");
      const control = new AbortController();
      const events: Event[] = [];
      const reading = (async () => {
        for await (const response of createClient(GatewayService, transport).subscribe(
          { sessionId },
          { signal: control.signal },
        )) {
          events.push(...response.events);
        }
      })().catch(() => undefined);
      // The stream goes on behind the end of the run: nothing that nginx holds back would ever be pushed out.
      await expect
        .poll(() => events.some(({ body, runId: of }) => body.case === "runFinished" && of === runId), {
          timeout: 30_000,
        })
        .toBe(true);
      expectDense(events);
      const before = events.length;
      await say(clientOver(mesh.transport()), "and once more", { session: inSession(sessionId).session });
      await expect.poll(() => events.length, { message: name, timeout: 30_000 }).toBeGreaterThan(before);
      control.abort();
      await reading;
    }
  });

  test("streams say that they are not to be held back or changed, whole answers say nothing of it", async () => {
    const { sessionId } = await say(clientOver(mesh.transport()), "hello");
    const ask = (method: string, type: string, body: Uint8Array | string) =>
      fetch(`${mesh.url}/atoll.gateway.v1.GatewayService/${method}`, {
        ...{ method: "POST", body: typeof body === "string" ? body : new Blob([new Uint8Array(body)]) },
        headers: { "content-type": type, authorization: `Bearer ${mesh.token}`, "connect-protocol-version": "1" },
      });
    const json = Buffer.from(JSON.stringify({ sessionId }));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(json.length, 1);
    for (const type of ["application/connect+json", "application/grpc-web+json", "application/grpc+json"]) {
      const answer = await ask("Subscribe", type, Buffer.concat([head, json]));
      expect(answer.headers.get("x-accel-buffering"), type).toBe("no");
      expect(answer.headers.get("cache-control"), type).toContain("no-transform");
      await answer.body?.cancel();
    }
    const whole = await ask("CancelRun", "application/json", JSON.stringify({ requestId: "r", runId: "run_1" }));
    expect(whole.headers.get("x-accel-buffering")).toBeNull();
  });

  test("the page and its files stand under the path, and the port has them at its root as well", async () => {
    for (const at of [`${publicUrl}/`, `${publicUrl}/s/ses_1`, `${mesh.url}/`, `${mesh.url}/atoll/`]) {
      const page = await (await fetch(at)).text();
      const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
      expect(files.length, at).toBeGreaterThan(1);
      for (const path of files) {
        expect(path, at).toMatch(/^\/atoll\//);
        expect((await fetch(new URL(path, at))).status, `${at}: ${path}`).toBe(200);
      }
    }
  });

  test("a page of the public origin may call, also from a browser that says no more than its origin; others may not", async () => {
    const call = async (headers: Record<string, string>): Promise<number> => {
      const answer = await fetch(`${publicUrl}/atoll.agent.v1.AgentService/ListAgents`, {
        ...{ method: "POST", body: "{}" },
        headers: { "content-type": "application/json", authorization: `Bearer ${mesh.token}`, ...headers },
      });
      return answer.status;
    };
    expect(await call({ origin: new URL(publicUrl).origin })).toBe(200);
    expect(await call({ origin: "http://evil.example" })).toBe(403);
    expect(await call({ origin: `${new URL(publicUrl).origin}.evil.example` })).toBe(403);
  });

  test("links name the public address", async () => {
    const { output, code } = await runCommand(["token", "--link"], mesh.folder);
    expect(code).toBe(0);
    expect(output).toContain(`${publicUrl}/#code=`);
  });
});
