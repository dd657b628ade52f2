/** Which worker may have which run: by tenant, agent, pool and labels. */

/** What a worker said of itself (WorkerHello). */
export interface WorkerReach {
  /** The only tenant whose runs it takes; empty for any. */
  readonly tenant: string;
  /** The agents that it serves; empty for every agent. */
  readonly agentIds: readonly string[];
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What the configuration says of an agent's workers. */
export interface AgentPlace {
  /** Empty for the pool without a name. */
  readonly pool: string;
  /** What a worker must have of labels. */
  readonly workerLabels: Readonly<Record<string, string>>;
}

/** An agent that is not configured any more: whoever is of the pool without a name ends its runs, with a reason. */
const unknownAgent: AgentPlace = { pool: "", workerLabels: {} };

export function mayRun(
  worker: WorkerReach,
  run: { readonly tenant: string; readonly agentId: string },
  agents: ReadonlyMap<string, AgentPlace>,
): boolean {
  if (worker.tenant !== "" && worker.tenant !== run.tenant) return false;
  if (worker.agentIds.length > 0 && !worker.agentIds.includes(run.agentId)) return false;
  return isPlaceOf(worker, agents.get(run.agentId) ?? unknownAgent);
}

/** The runs that a claim for a worker may find: mayRun as a condition for a store. */
export interface RunsInReach {
  /** Empty for every tenant. */
  readonly tenant: string;
  /** Runs of these agents alone; undefined for every agent. */
  readonly agentIds: readonly string[] | undefined;
  /** But not of these. */
  readonly exceptAgentIds: readonly string[];
}

/** Undefined when no run is in its reach. */
export function runsInReach(worker: WorkerReach, agents: ReadonlyMap<string, AgentPlace>): RunsInReach | undefined {
  const { tenant } = worker;
  const takesUnknown = isPlaceOf(worker, unknownAgent);
  const ofPlace = [...agents].filter(([, place]) => isPlaceOf(worker, place)).map(([agentId]) => agentId);
  if (worker.agentIds.length > 0) {
    const agentIds = worker.agentIds.filter((agentId) =>
      agents.has(agentId) ? ofPlace.includes(agentId) : takesUnknown,
    );
    return agentIds.length === 0 ? undefined : { tenant, agentIds, exceptAgentIds: [] };
  }
  if (!takesUnknown) return ofPlace.length === 0 ? undefined : { tenant, agentIds: ofPlace, exceptAgentIds: [] };
  const exceptAgentIds = [...agents.keys()].filter((agentId) => !ofPlace.includes(agentId));
  return { tenant, agentIds: undefined, exceptAgentIds };
}

function isPlaceOf(worker: WorkerReach, { pool, workerLabels }: AgentPlace): boolean {
  return pool === worker.pool && Object.entries(workerLabels).every(([name, value]) => worker.labels[name] === value);
}
