/**
 * The faults of a run: a plan made from the seed before anything happens, and its execution.
 *
 * The plan can be repeated; when exactly a fault lands in a system of many processes can't.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { FaultRecord, History } from "../history.ts";
import { nowMs } from "../history.ts";
import type { Random } from "../random.ts";
import type { System } from "./system.ts";

export type Fault =
  | { readonly kind: "kill"; readonly service: string }
  | { readonly kind: "kill all" }
  | { readonly kind: "freeze"; readonly service: string; readonly forMs: number }
  | { readonly kind: "drain"; readonly service: string }
  | { readonly kind: "clock"; readonly aheadMs: number }
  | { readonly kind: "cut"; readonly proxy: string }
  | { readonly kind: "dark"; readonly proxy: string; readonly forMs: number }
  | { readonly kind: "mute"; readonly proxy: string; readonly forMs: number };

/** Faults by what must have landed of them; `cut` stands for all that is done to connections. */
export const faultKinds = ["kill", "kill all", "freeze", "cut", "drain", "clock"] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface PlannedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

export interface Pace {
  readonly killEveryMs: number;
  readonly killAllEveryMs: number;
  readonly freezeEveryMs: number;
  readonly cutEveryMs: number;
  readonly drainEveryMs: number;
  readonly clockEveryMs: number;
  readonly leaseTtlMs: number;
}

export interface Targets {
  readonly services: readonly string[];
  readonly workers: readonly string[];
  readonly proxies: readonly string[];
}

/**
 * Where the wall clock may stand, an hour or more either way: so far apart that a time of one can't be taken for a time of another
 * in a run of this length (wall-times.ts).
 */
function clocksAheadMs(forMs: number): readonly number[] {
  const stepMs = Math.max(60 * 60_000, forMs) + 5 * 60_000;
  return [-2, -1, 0, 1, 2].map((steps) => steps * stepMs);
}

/** In order of time. The first seconds are left alone, so that there is something to break. */
export function planFaults(random: Random, forMs: number, pace: Pace, targets: Targets): PlannedFault[] {
  const calmMs = 2_000;
  const clocks = clocksAheadMs(forMs);
  const every = (intervalMs: number, fault: () => Fault): PlannedFault[] =>
    intervalMs <= 0
      ? []
      : Array.from({ length: Math.floor((forMs - calmMs) / intervalMs) }, (_, index) => ({
          atMs: Math.round(calmMs + (index + random.next()) * intervalMs),
          fault: fault(),
        }));
  return [
    ...every(pace.killEveryMs, () => ({ kind: "kill", service: random.pick(targets.services) })),
    ...every(pace.killAllEveryMs, () => ({ kind: "kill all" })),
    ...every(pace.freezeEveryMs, () => ({
      kind: "freeze",
      service: random.pick(targets.workers),
      forMs: random.between(pace.leaseTtlMs / 2, pace.leaseTtlMs * 3),
    })),
    ...every(pace.drainEveryMs, () => ({ kind: "drain", service: random.pick(targets.services) })),
    ...every(pace.clockEveryMs, () => ({ kind: "clock", aheadMs: random.pick(clocks) })),
    ...every(pace.cutEveryMs, () => {
      const proxy = random.pick(targets.proxies);
      if (random.chance(0.4)) return { kind: "cut", proxy };
      if (random.chance(0.5)) return { kind: "mute", proxy, forMs: random.between(50, 1_000) };
      return { kind: "dark", proxy, forMs: random.between(200, 3_000) };
    }),
  ].toSorted((a, b) => a.atMs - b.atMs);
}

/** Carries the plan out; resolves when its last fault is over, with what fell due. `signal` ends it early. */
export async function carryOut(
  plan: readonly PlannedFault[],
  system: System,
  history: History<FaultRecord>,
  signal: AbortSignal,
): Promise<ReadonlySet<FaultKind>> {
  const due = new Set<FaultKind>();
  const startedMs = nowMs();
  const running: Promise<void>[] = [];
  for (const { atMs, fault } of plan) {
    const waitMs = startedMs + atMs - nowMs();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    due.add(kindOf(fault));
    running.push(strike(fault, system, history));
  }
  await Promise.all(running);
  return due;
}

function kindOf({ kind }: Fault): FaultKind {
  return kind === "mute" || kind === "dark" ? "cut" : kind;
}

async function strike(fault: Fault, system: System, history: History<FaultRecord>): Promise<void> {
  switch (fault.kind) {
    case "kill":
      system.kill([fault.service]);
      return;
    case "kill all":
      system.kill(system.names(""));
      return;
    case "freeze":
      await system.freeze(fault.service, fault.forMs);
      return;
    case "drain":
      await system.drain(fault.service);
      return;
    case "clock":
      system.moveClock(fault.aheadMs);
      return;
    case "cut": {
      const connections = system.proxies.find(({ name }) => name === fault.proxy)?.cut() ?? 0;
      history.write({ kind: "cut", proxy: fault.proxy, connections, atMs: nowMs() });
      return;
    }
    case "mute": {
      const proxy = system.proxies.find(({ name }) => name === fault.proxy);
      if (proxy === undefined) return;
      const { forMs } = fault;
      history.write({ kind: "muted", proxy: fault.proxy, forMs, connections: proxy.mute(), atMs: nowMs() });
      await sleep(forMs);
      proxy.cut();
      return;
    }
    case "dark": {
      const proxy = system.proxies.find(({ name }) => name === fault.proxy);
      if (proxy === undefined) return;
      const { forMs } = fault;
      history.write({ kind: "dark", proxy: fault.proxy, forMs, connections: proxy.dark(), atMs: nowMs() });
      await sleep(forMs);
      proxy.light();
      return;
    }
  }
}
