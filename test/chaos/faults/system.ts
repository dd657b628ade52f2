/**
 * The mesh under test: every service in a process of its own, several of some, every hop through a fault proxy; and a
 * supervisor that starts again, on its port, whatever ends.
 *
 * Session instances are a list, so that several of them can join when the store allows it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { freshProgramIn } from "../../../bin/program.js";
import { openClock } from "../../support/jumping-clock.ts";
import { type ServiceProcess, startService } from "../../support/mesh-process.ts";
import { type FaultRecord, type History, nowMs } from "../history.ts";
import { FaultProxy } from "./fault-proxy.ts";
import { isAlive, killLive } from "./kill-live.ts";

const jumpingClock = pathToFileURL(resolve(import.meta.dirname, "../../support/jumping-clock.ts")).href;

export interface SystemOptions {
  readonly folder: string;
  /** The tree under test: its built program is run, its sources when they were changed since. */
  readonly root: string;
  readonly workers: number;
  readonly gateways: number;
  readonly leaseTtlMs: number;
  readonly faults: History<FaultRecord>;
}

interface Supervised {
  readonly name: string;
  process: ServiceProcess;
  /** Late writes that it refused in its earlier lives. */
  lateWrites: number;
  /** When it was asked to end, while it does. */
  drainingSinceMs: number | undefined;
}

export class System {
  readonly #options: SystemOptions;
  readonly #services: Supervised[] = [];
  readonly #children: ChildProcess[] = [];
  readonly proxies: FaultProxy[] = [];
  readonly #clock: ReturnType<typeof openClock>;
  #closing = false;
  readonly #keepers: Promise<void>[] = [];

  private constructor(options: SystemOptions) {
    this.#options = options;
    this.#clock = openClock(join(options.folder, "clock"));
  }

  static async start(options: SystemOptions): Promise<System> {
    const system = new System(options);
    try {
      await system.#startAll();
      return system;
    } catch (error) {
      await system.close();
      throw error;
    }
  }

  get token(): string {
    return readFileSync(join(this.#options.folder, ".atoll", "token"), "utf8").trim();
  }

  get callHistory(): string {
    return join(this.#options.folder, "calls.jsonl");
  }

  names(kind: "session" | "toolrouter" | "agent" | "gateway" | ""): string[] {
    return this.#services.map(({ name }) => name).filter((name) => name.startsWith(kind));
  }

  /** The clients' ways in, each through a proxy. */
  gatewayUrls(): string[] {
    return this.proxies.filter(({ name }) => name.startsWith("gateway")).map(({ url }) => url);
  }

  /** Past every fault, for the last read. */
  directUrl(): string {
    return this.#find("gateway-1").process.url;
  }

  /** kill -9; the supervisor starts it again at once. One that is down already is not killed and not written down. */
  kill(names: readonly string[]): void {
    const atMs = nowMs();
    const killed = killLive(names.map((name) => this.#find(name)));
    if (killed.length === 0) return;
    const workerIds = killed.flatMap(({ process }) => workerIdsOf(process));
    this.#options.faults.write({ kind: "killed", services: killed.map(({ name }) => name), workerIds, atMs });
  }

  async freeze(name: string, forMs: number): Promise<void> {
    const { process: frozen } = this.#find(name);
    const { child } = frozen;
    if (!child.kill("SIGSTOP")) return;
    const workerIds = workerIdsOf(frozen);
    this.#options.faults.write({ kind: "frozen", service: name, workerIds, forMs, atMs: nowMs() });
    await new Promise((settle) => setTimeout(settle, forMs));
    child.kill("SIGCONT");
  }

  /** Asks a service to end, as whoever brings a new version does; the supervisor starts it again. */
  async drain(name: string): Promise<void> {
    const service = this.#find(name);
    const { child } = service.process;
    if (!isAlive(service.process) || service.drainingSinceMs !== undefined) return;
    service.drainingSinceMs = nowMs();
    this.#options.faults.write({ kind: "draining", service: name, atMs: service.drainingSinceMs });
    const ended = new Promise((settle) => child.once("exit", settle));
    child.kill("SIGTERM");
    await ended;
  }

  /** For all services at once; clients and this harness keep theirs. */
  moveClock(aheadMs: number): void {
    this.#clock.set(aheadMs);
    this.#options.faults.write({ kind: "clock", aheadMs, atMs: nowMs() });
  }

  /** Resolves when every service is up. */
  async whole(): Promise<void> {
    for (;;) {
      if (this.#services.every(({ process }) => isAlive(process))) return;
      await new Promise((settle) => setTimeout(settle, 50));
    }
  }

  /** Batches of workers whose run somebody else had, as the session service logged them. */
  lateWrites(): number {
    return this.#services.reduce((sum, { process, lateWrites }) => sum + lateWrites + countLateWrites(process), 0);
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const { process } of this.#services) process.child.kill("SIGCONT");
    await Promise.all(this.#services.map(({ process }) => process.end("SIGKILL")));
    await Promise.allSettled(this.#keepers);
    await Promise.all(this.#services.map(({ process }) => process.end("SIGKILL")));
    for (const service of this.#services) this.#keepLog(service);
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
    for (const child of this.#children) child.kill("SIGKILL");
  }

  async #startAll(): Promise<void> {
    const { folder, workers, gateways, leaseTtlMs } = this.#options;
    mkdirSync(join(folder, "workspace"), { recursive: true });
    const probe = resolve(import.meta.dirname, "../../support/mcp-probe-server.ts");
    const config = {
      // Behind the proxies a service is called by another port than its own.
      access: { allowedHosts: ["127.0.0.1"] },
      runs: { leaseTtlMs, renewIntervalMs: Math.floor(leaseTtlMs / 5), maxAttempts: 100 },
      limits: { maxConnections: 10_000, maxConnectionsPerAddress: 10_000, progressIntervalMs: 250 },
      mcpServers: {
        recorder: { command: process.execPath, args: [probe, `--history=${this.callHistory}`], trusted: true },
      },
    };
    writeFileSync(join(folder, "atoll.yaml"), JSON.stringify(config));
    const model = await this.#startModel();
    const env = {
      ...{ ANTHROPIC_API_KEY: "chaos", ANTHROPIC_BASE_URL: model },
      ...{ NODE_OPTIONS: `--import=${jumpingClock}`, ATOLL_TEST_CLOCK: join(folder, "clock") },
    };
    const serve = (service: string, ...more: string[]) => [
      "serve",
      `--services=${service}`,
      "--listen",
      "127.0.0.1:0",
      ...more,
    ];
    await this.#supervise("session", serve("session"), env);
    const session = await this.#proxy("session");
    await this.#supervise("toolrouter", serve("toolrouter", "--session", session.url), env);
    const toolrouter = await this.#proxy("toolrouter");
    for (let at = 1; at <= workers; at++) {
      // A worker has its own way to the session service, so that it can be cut off alone.
      const way = await this.#proxy("session", `worker-${at}`);
      await this.#supervise(`agent-${at}`, serve("agent", "--session", way.url, "--toolrouter", toolrouter.url), env);
    }
    const agent = this.#find("agent-1").process.url;
    for (let at = 1; at <= gateways; at++) {
      const peers = ["--session", session.url, "--toolrouter", toolrouter.url, "--agent", agent];
      await this.#supervise(`gateway-${at}`, serve("gateway", ...peers), env);
      await this.#proxy(`gateway-${at}`);
    }
  }

  async #startModel(): Promise<string> {
    const child = spawn(process.execPath, [resolve(import.meta.dirname, "../load/model.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.push(child);
    for await (const line of createInterface({ input: child.stdout })) return line;
    throw new Error("the fake model ended before it was up");
  }

  async #proxy(service: string, name = service): Promise<FaultProxy> {
    const port = Number(new URL(this.#find(service).process.url).port);
    const proxy = await new FaultProxy(name, port).listen();
    this.proxies.push(proxy);
    return proxy;
  }

  async #supervise(name: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
    const { folder, root, faults } = this.#options;
    const start = (words: readonly string[]) =>
      startService(name, words, folder, env, freshProgramIn(root) ?? join(root, "services/main.ts"));
    const service: Supervised = { name, process: await start(args), lateWrites: 0, drainingSinceMs: undefined };
    this.#services.push(service);
    const keepAlive = async (): Promise<void> => {
      while (!this.#closing) {
        const { child } = service.process;
        if (isAlive(service.process)) await new Promise((settle) => child.once("exit", settle));
        if (this.#closing) return;
        const { exitCode: code, signalCode: signal } = child;
        const { drainingSinceMs } = service;
        service.drainingSinceMs = undefined;
        if (signal !== "SIGKILL" && drainingSinceMs !== undefined) {
          const atMs = nowMs();
          const tookMs = atMs - drainingSinceMs;
          faults.write({ kind: "drained", service: name, code: String(code ?? signal), tookMs, atMs });
        } else if (signal !== "SIGKILL") {
          faults.write({ kind: "died", service: name, code: String(code ?? signal), atMs: nowMs() });
        }
        await this.#startAgain(service, start);
      }
    };
    this.#keepers.push(keepAlive());
  }

  /** What its life until now logged, for whoever keeps the folder. */
  #keepLog({ name, process }: Supervised): void {
    appendFileSync(join(this.#options.folder, `${name}.log`), process.log());
  }

  async #startAgain(service: Supervised, start: (args: readonly string[]) => Promise<ServiceProcess>): Promise<void> {
    const { args } = service.process;
    service.lateWrites += countLateWrites(service.process);
    this.#keepLog(service);
    for (let tries = 0; !this.#closing; tries++) {
      try {
        service.process = await start(args);
        this.#options.faults.write({ kind: "ready", service: service.name, atMs: nowMs() });
        return;
      } catch (error) {
        // Killed again while it started, which the plan allows; anything else is a finding.
        if (tries >= 10) throw error;
      }
    }
  }

  #find(name: string): Supervised {
    const service = this.#services.find((each) => each.name === name);
    if (service === undefined) throw new Error(`there is no service ${name}`);
    return service;
  }
}

function countLateWrites(process: ServiceProcess): number {
  return process.log().split('"msg":"a late write was refused"').length - 1;
}

/** The names under which an agent's process attached, which is none before its first welcome. */
function workerIdsOf(process: ServiceProcess): string[] {
  const [, workerId] = /"workerId":"(\w+)"[^\n]*"attached as a worker"/.exec(process.log()) ?? [];
  return workerId === undefined ? [] : [workerId];
}
