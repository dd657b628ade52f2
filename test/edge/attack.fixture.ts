/** What attack tests share: raw HTTP/2, the memory of a process, and a client beside the attack that measures its waits. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished } from "vitest";
import { pinProcess } from "../bench/pin-cores.ts";
import { type MeshProcess, type MeshProcessOptions, startMeshProcess } from "../support/mesh-process.ts";

/** A mesh without servers of its own, so that what grows is the port's. */
export async function startTarget(options: MeshProcessOptions = {}): Promise<MeshProcess> {
  const config = { mcpServers: { filesystem: { disabled: true } }, ...JSON.parse(options.config ?? "{}") };
  const mesh = await startMeshProcess({ ...options, config: JSON.stringify(config) });
  onTestFinished(() => mesh.stop("SIGKILL"));
  // What the attacker's own work takes of the processor is not to be counted as the mesh's.
  pinProcess(mesh.processOf("mesh").pid, "mesh");
  pinProcess(process.pid, "load");
  return mesh;
}

/** Resident memory of a process in bytes. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Looks at the memory of a process until it is asked by how many bytes it grew at the most. */
export function watchMemory(pid: number): () => number {
  const before = memoryOf(pid);
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, memoryOf(pid));
  }, 20);
  onTestFinished(() => clearInterval(timer));
  return () => {
    clearInterval(timer);
    return Math.max(peak, memoryOf(pid)) - before;
  };
}

/** Milliseconds of processor time that a process has used. */
export function processorMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

export interface Waits {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const othersProgram = resolve(import.meta.dirname, "others-program.ts");

/** A caller with a token that asks again and again beside an attack, in a process of its own. */
export async function watchOthers({ url, token }: MeshProcess): Promise<{ stop(): Promise<Waits> }> {
  const child = spawn(process.execPath, [othersProgram, url, token], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  // It does little, and waits for neither the mesh's core nor the attacker's.
  pinProcess(child.pid ?? 0, "alone");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("ready");
  return {
    async stop() {
      child.stdin.end();
      const waits = JSON.parse((await lines.next()).value ?? "[]") as number[];
      const sorted = waits.toSorted((a, b) => a - b);
      const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
      return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
    },
  };
}

export function openHttp2(mesh: Pick<MeshProcess, "url">): ClientHttp2Session {
  // In megabytes. Node counts bodies that were refused as if they still waited, and would end the attack's own streams.
  const session = connectHttp2(mesh.url, { maxSessionMemory: 10_000 });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

export interface RawSocket {
  readonly socket: Socket;
  /** All that came so far, one character a byte. */
  readonly received: () => string;
  readonly isClosed: () => boolean;
  readonly closed: Promise<void>;
}

export async function openSocket(mesh: Pick<MeshProcess, "url">): Promise<RawSocket> {
  const { hostname, port } = new URL(mesh.url);
  const socket = connect({ host: hostname, port: Number(port) });
  let received = "";
  let isClosed = false;
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      isClosed = true;
      resolve();
    });
  });
  onTestFinished(() => void socket.destroy());
  await new Promise<void>((resolve) => {
    socket.once("connect", resolve);
    socket.once("close", resolve);
  });
  return { socket, received: () => received, isClosed: () => isClosed, closed };
}
