/** Commands as a person types them: a shell in a folder, with Node 24 and npm, and nothing of the test's own npm. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { repository } from "../support/source-files.ts";

export interface ShellResult {
  readonly code: number | NodeJS.Signals;
  /** Standard output and standard error, as they came. */
  readonly shown: string;
  readonly output: string;
}

export interface RunningShell {
  readonly shown: () => string;
  /** Resolves when it has shown what matches; rejects with all that it has shown when it ends without, or takes minutes. */
  readonly until: (pattern: RegExp) => Promise<void>;
  /** Ctrl-C for everything that it has started; resolves when it has ended. */
  readonly interrupt: () => Promise<ShellResult>;
  readonly ended: Promise<ShellResult>;
}

/** For what is awaited to be shown, in milliseconds: an installation on a busy machine takes minutes. */
const maxQuietMs = 360_000;

/** What npm tells programs that it runs would lead the next npm back to the repository. */
function cleanEnvironment(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|ANTHROPIC_|ATOLL_|NODE_(OPTIONS|ENV|PATH)$|NODE$|INIT_CWD$|VITEST)/.test(name),
  );
  const paths = (process.env["PATH"] ?? "").split(delimiter).filter((path) => !path.startsWith(repository));
  return { ...Object.fromEntries(own), PATH: [dirname(process.execPath), ...paths].join(delimiter), ...env };
}

export function startShell(command: string, folder: string, env: Readonly<Record<string, string>> = {}): RunningShell {
  const child: ChildProcess = spawn("bash", ["-c", `set -o pipefail\n${command}`], {
    cwd: folder,
    env: cleanEnvironment(env),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let shown = "";
  let output = "";
  const waiting = new Set<() => void>();
  const hear = (part: unknown): void => {
    shown += String(part);
    for (const look of waiting) look();
  };
  child.stdout?.on("data", (part) => {
    output += String(part);
    hear(part);
  });
  child.stderr?.on("data", hear);
  const ended = once(child, "close").then(([code, signal]) => ({ code: code ?? signal, shown, output }) as ShellResult);
  return {
    shown: () => shown,
    until: (pattern) =>
      new Promise((settle, fail) => {
        const end = (how?: string): void => {
          waiting.delete(look);
          clearTimeout(timer);
          if (how === undefined) settle();
          else fail(new Error(`${command}\n${how} without ${pattern}:\n${shown}`));
        };
        const look = (): void => {
          if (pattern.test(shown)) end();
        };
        const timer = setTimeout(end, maxQuietMs, "went on");
        waiting.add(look);
        look();
        void ended.then(() => end("ended"));
      }),
    interrupt() {
      try {
        process.kill(-(child.pid ?? 0), "SIGINT");
      } catch {
        // It has ended by itself.
      }
      return ended;
    },
    ended,
  };
}

export function runShell(command: string, folder: string, env: Readonly<Record<string, string>> = {}) {
  return startShell(command, folder, env).ended;
}

export function makeFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "atoll-shell-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** The repository as somebody has it who cloned it, with what is not committed yet. */
export function copyCheckout(folder: string): void {
  const list = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: repository,
  });
  for (const path of list.toString().split("\0")) {
    if (path === "") continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    try {
      cpSync(join(repository, path), join(folder, path));
    } catch (error) {
      // Deleted, and the deletion is not committed yet.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** A port that nobody had a moment ago. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
