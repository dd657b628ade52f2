/** One start of an embedded mesh, timed from before its process exists to its first answer. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { nodeFlags } from "../../support/mesh-process.ts";
import { endWithBench } from "../end-in-time.ts";

export interface StartTimes {
  /** Milliseconds from the spawn to the line that says where the mesh is. */
  readonly readyMs: number;
  /** Milliseconds from the spawn to the answer of an authenticated ListSessions on a new connection. */
  readonly firstCallMs: number;
  /** Milliseconds that the mesh itself counts for its start: without Node's own start and the loading of modules. */
  readonly inProcessMs: number;
}

export interface StartedMesh {
  readonly times: StartTimes;
  readonly url: string;
  readonly token: string;
  readonly pid: number;
  /** Ends it with SIGTERM, after 10 s with SIGKILL. */
  readonly stop: () => Promise<void>;
}

const startTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;
const callTimeoutMs = 10_000;

/**
 * @param program The file that Node runs.
 * @param folder Where it lives: data and workspace.
 * @param compileCache The folder of Node's compile cache.
 */
export async function startMeshTimed(program: string, folder: string, compileCache: string): Promise<StartedMesh> {
  // Without a key it runs on the offline model, whatever the bench's own environment holds.
  const { ANTHROPIC_API_KEY: _key, ANTHROPIC_BASE_URL: _url, ...inherited } = process.env;
  const startedMs = performance.now();
  const child = spawn(process.execPath, [...nodeFlags, program, "up", "--listen", "127.0.0.1:0"], {
    cwd: folder,
    env: { ...inherited, NODE_COMPILE_CACHE: compileCache },
    stdio: ["ignore", "pipe", "pipe"],
  });
  endWithBench(child);
  try {
    const { url, log } = await readyLine(child);
    const readyMs = performance.now() - startedMs;
    const token = readFileSync(join(folder, ".atoll", "token"), "utf8").trim();
    await callOnce(url, token);
    const firstCallMs = performance.now() - startedMs;
    const inProcessMs = Number(/"inMs":(\d+)/.exec(log())?.[1]);
    return { times: { readyMs, firstCallMs, inProcessMs }, url, token, pid: child.pid ?? 0, stop: () => stop(child) };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** The connection is closed behind the answer: a mesh is idle when nobody is connected. */
async function callOnce(url: string, token: string): Promise<void> {
  const sessionManager = new Http2SessionManager(url);
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "2", useBinaryFormat: true, sessionManager });
  const headers = { authorization: `Bearer ${token}` };
  await createClient(SessionService, transport).listSessions({ pageSize: 1 }, { headers, timeoutMs: callTimeoutMs });
  sessionManager.abort();
}

async function readyLine(child: ChildProcess): Promise<{ url: string; log: () => string }> {
  const ready = Promise.withResolvers<{ url: string; log: () => string }>();
  let output = "";
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    errors += chunk;
  });
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    const url = /ready at (http:\/\/\S+)/.exec(output)?.[1];
    if (url !== undefined) ready.resolve({ url, log: () => errors });
  });
  child.once("error", ready.reject);
  child.once("exit", (code) => ready.reject(new Error(`the mesh ended with ${code}\n${output}\n${errors}`)));
  const timer = setTimeout(
    () => ready.reject(new Error(`not ready in ${startTimeoutMs} ms\n${errors}`)),
    startTimeoutMs,
  );
  try {
    return await ready.promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Milliseconds from the spawn to the end of a Node that has nothing to do. */
export async function timeNode(): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["-e", "0"], { stdio: "ignore" });
  endWithBench(child);
  await once(child, "exit");
  return performance.now() - startedMs;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = Promise.withResolvers<void>();
  child.once("exit", () => ended.resolve());
  const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  child.kill("SIGTERM");
  await ended.promise;
  clearTimeout(timer);
}
