/** Real meshes in processes of their own: embedded (one process) or split (one a service), each with its own folder. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { freshProgramIn } from "../../bin/program.js";
import { guardSessions } from "../../services/kernel/rpc/hops/hop-sessions.ts";
import { checkReasons } from "./check-reasons.ts";
import { repository } from "./source-files.ts";

export type Topology = "embedded" | "split";
export const topologies: readonly Topology[] = ["embedded", "split"];

export interface MeshProcessOptions {
  /** Default: embedded. */
  readonly topology?: Topology;
  /** The folder that everything lives in; it is kept. Default: a new one that `stop` removes. */
  readonly folder?: string;
  /** Goes over the environment; ANTHROPIC_* is never inherited. */
  readonly env?: Readonly<Record<string, string>>;
  /** The text of atoll.yaml. Default: none. */
  readonly config?: string;
  /** Files of the workspace by name. Default: one notes.md. */
  readonly workspace?: Readonly<Record<string, string>>;
  /** Where the gateway listens. Default: a free port. */
  readonly listen?: string;
}

export interface ServiceProcess {
  readonly name: string;
  /** The words of its command line, the port that it got included. */
  readonly args: readonly string[];
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** Everything that it wrote to standard output so far, which is no terminal. */
  readonly output: () => string;
  /** Everything that it wrote to standard error so far. */
  readonly log: () => string;
  /** Sends the signal and resolves with the exit code, or the signal that ended it. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | NodeJS.Signals>;
}

export interface MeshProcess {
  /** The gateway's address. */
  readonly url: string;
  readonly folder: string;
  readonly dataDir: string;
  readonly token: string;
  /** Embedded: one; split: session, toolrouter, agent, gateway. */
  readonly processes: readonly ServiceProcess[];
  /** The process of a service; embedded: the one process. */
  readonly processOf: (service: string) => ServiceProcess;
  /** Starts the process of a service that has ended again, on its port and folder. Resolves when it is ready. */
  readonly restart: (service: string) => Promise<ServiceProcess>;
  /** An authenticated transport to the gateway (Connect over HTTP/2, binary). */
  readonly transport: () => Transport;
  /** The same without a token. */
  readonly anonymousTransport: () => Transport;
  readonly log: () => string;
  /** Ends every process (default SIGTERM) and removes the folder if it was made here. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

/** The built program; the sources when they were changed since it was built. */
export const atollProgram: string = freshProgramIn(repository) ?? join(repository, "services/main.ts");
/** As in the first line of main.ts. */
export const nodeFlags: readonly string[] = ["--max-semi-space-size=8"];
// Seconds on a machine at rest; a busy one may need many times as long.
const startTimeoutMs = 120_000;
const endTimeoutMs = 40_000;

export async function startMeshProcess(options: MeshProcessOptions = {}): Promise<MeshProcess> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "atoll-test-"));
  const workspace = join(folder, "workspace");
  mkdirSync(workspace, { recursive: true });
  for (const [name, text] of Object.entries(options.workspace ?? { "notes.md": "# Notes\nBuy a boat.\n" })) {
    writeFileSync(join(workspace, name), text);
  }
  if (options.config !== undefined) writeFileSync(join(folder, "atoll.yaml"), options.config);
  const dataDir = options.env?.["ATOLL_DATA"] ?? join(folder, ".atoll");
  const processes: ServiceProcess[] = [];
  const start = async (name: string, args: readonly string[]): Promise<string> => {
    const started = await startService(name, args, folder, options.env ?? {});
    processes.push(started);
    return started.url;
  };
  const free = "127.0.0.1:0";
  const listen = options.listen ?? free;
  try {
    if ((options.topology ?? "embedded") === "embedded") {
      await start("mesh", ["up", "--listen", listen]);
    } else {
      const session = await start("session", ["serve", "--services=session", "--listen", free]);
      const toolrouter = await start("toolrouter", [
        ...["serve", "--services=toolrouter", "--listen", free, "--session", session],
      ]);
      const peers = ["--session", session, "--toolrouter", toolrouter];
      const agent = await start("agent", ["serve", "--services=agent", "--listen", free, ...peers]);
      await start("gateway", ["serve", "--services=gateway", "--listen", listen, ...peers, "--agent", agent]);
    }
  } catch (error) {
    await Promise.all(processes.map((each) => each.end("SIGKILL")));
    throw error;
  }
  const gateway = processes.at(-1);
  if (gateway === undefined) throw new Error("no process was started");
  const token = readFileSync(join(dataDir, "token"), "utf8").trim();
  const processOf = (service: string): ServiceProcess =>
    processes.find((each) => each.name === service) ?? only(processes);
  return {
    url: gateway.url,
    folder,
    dataDir,
    token,
    processes,
    processOf,
    async restart(service) {
      const ended = processOf(service);
      const started = await startService(ended.name, ended.args, folder, options.env ?? {});
      processes.splice(processes.indexOf(ended), 1, started);
      return started;
    },
    transport: () => transportTo(gateway.url, token),
    anonymousTransport: () => transportTo(gateway.url, undefined),
    log: () => processes.map((each) => `--- ${each.name}\n${each.log()}`).join("\n"),
    async stop(signal = "SIGTERM") {
      for (const each of processes.toReversed()) await each.end(signal);
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function only(processes: readonly ServiceProcess[]): ServiceProcess {
  const [first] = processes;
  if (first === undefined || processes.length > 1) throw new Error("there is no process of that name");
  return first;
}

/**
 * Connect over HTTP/2, binary, with a bearer token or none, held to the contracts (check-reasons.ts); `windowBytes` is how much a stream takes unread, `origin` the web origin
 * that it calls from.
 */
export function transportTo(url: string, token: string | undefined, windowBytes?: number, origin?: string): Transport {
  const authorize: Interceptor = (next) => (request) => {
    if (origin !== undefined) request.header.set("origin", origin);
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const nodeOptions = windowBytes === undefined ? {} : { settings: { initialWindowSize: windowBytes } };
  return checkReasons(
    createConnectTransport({
      ...{ baseUrl: url, httpVersion: "2", useBinaryFormat: true },
      interceptors: [authorize],
      sessionManager: guardSessions(new Http2SessionManager(url, undefined, nodeOptions)),
    }),
  );
}

function withPort(args: readonly string[], url: string): readonly string[] {
  const at = args.indexOf("--listen");
  return at < 0 ? args : args.with(at + 1, new URL(url).host);
}

/** Starts one process and waits until it says where it is. Rejects with its output when it ends instead. */
export async function startService(
  name: string,
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>>,
  /** The program; another one for a copy of the tree. */
  entry: string = atollProgram,
): Promise<ServiceProcess> {
  const child = spawnCommand(args, folder, env, entry);
  let output = "";
  let errors = "";
  const ended = new Promise<number | NodeJS.Signals>((settle) => {
    child.once("exit", (code, signal) => settle(code ?? signal ?? 1));
  });
  const ready = Promise.withResolvers<string>();
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    const url = /ready at (https?:\/\/\S+)/.exec(output)?.[1];
    if (url !== undefined) ready.resolve(url);
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors += chunk;
  });
  const timer = setTimeout(
    () => ready.reject(new Error(`${name} was not ready in ${startTimeoutMs} ms\n${errors}`)),
    startTimeoutMs,
  );
  void ended.then((code) => ready.reject(new Error(`${name} ended with ${code}\n${output}\n${errors}`)));
  try {
    const url = await ready.promise;
    return {
      name,
      args: withPort(args, url),
      url,
      pid: child.pid ?? 0,
      child,
      output: () => output,
      log: () => errors,
      async end(signal) {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
        const hard = setTimeout(() => child.kill("SIGKILL"), endTimeoutMs);
        const code = await ended;
        clearTimeout(hard);
        return code;
      },
    };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

export interface CommandResult {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals;
  readonly output: string;
  readonly errors: string;
}

/** Runs a command of the command line until it ends by itself; after two minutes it is killed. */
export async function runCommand(
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const child = spawnCommand(args, folder, env);
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors += chunk;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), startTimeoutMs);
  // "close" comes when the process has ended and all that it wrote was read.
  const code = await new Promise<number | NodeJS.Signals>((settle) => {
    child.once("close", (exitCode, signal) => settle(exitCode ?? signal ?? 1));
  });
  clearTimeout(timer);
  return { code, output, errors };
}

export function spawnCommand(
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>>,
  entry: string = atollProgram,
) {
  const { ANTHROPIC_API_KEY: _key, ANTHROPIC_BASE_URL: _url, ...inherited } = process.env;
  return spawn(process.execPath, [...nodeFlags, entry, ...args], {
    cwd: folder,
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}
