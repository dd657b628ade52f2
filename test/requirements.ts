// The ledger of what Atoll promises. A test cites the promises that it proves with `verifies("S2")` in its title;
// test/requirements.test.ts fails when a promise that holds is cited by no test, or when a cited id is not listed here.
import type { ReportId } from "./reports.ts";
import type { Holding, Later, Requirement } from "./requirement.ts";

const holds = (statement: string): Holding => ({ status: "holds", statement });
const later = (issue: string, statement: string): Later => ({ status: "later", issue, statement });

const telemetryWork = "Telemetry: deadlines and traces over every hop";
const toolWork = "Tool router: policy, approvals and isolation";

export const requirements = {
  L1: holds("Services meet only as generated clients and never import each other."),
  L2: holds("State lives behind ports; every driver of a port passes that port's shared suite."),
  L3: holds("What a client may see is an event in its session's log; the bus only wakes readers and hints."),
  L4: holds("An append of a run is fenced by its epoch; a resent batch is answered and not repeated."),
  L5: holds("A tool call is in the router's durable ledger before it is dispatched, its outcome after."),
  L6: holds("Scope, idempotency, validation and limits of an RPC are read from the contract alone."),
  L7: holds("Every buffer, queue, wait and retry has a bound that is named with its unit."),
  L8: holds("Each third-party library is imported through one door."),
  L9: holds("What is dropped, cut, retried, skipped or degraded can be found by a person."),
  S1: holds("On any stream of one session the next event begins where the last one ended."),
  S2: holds("A cursor yields all that follows, in order, then live, on any gateway and after any restart."),
  S3: holds("Only adjacent deltas of one block merge, and a delta applies by truncating to its offset."),
  S4: holds("An event is visible only once its append is durable, and no seq is used twice."),
  S5: holds("A cursor that cannot be served is refused with its reason, the oldest event and the head."),
  S6: holds("All subscribers see the same events; filters hide bodies, never places in the sequence."),
  S7: holds("A reader that meets an unknown body keeps counting and goes on."),
  S8: holds("What was shown is withdrawn only by an event that says so."),
  R1: holds("The same request_id gets the first answer again, and with another body a refusal."),
  R2: holds("A run has exactly one terminal event, and none is stuck."),
  R3: holds("A session runs one run at a time from a durable queue with modes and priorities."),
  R4: holds("A run that was taken over keeps its id, repeats no finished step and keeps its readers."),
  R5: holds("A disconnect cancels nothing; a cancel reaches model and tool within its bound."),
  R6: later(telemetryWork, "Deadlines and trace context travel over every hop."),
  T1: holds("A tool call happens at most once unless the operator allowed more; doubt ends as outcome_unknown."),
  T2: later(toolWork, "The router owns the upstream call, and a worker that came back reattaches by call id."),
  T3: later(toolWork, "Tool policy is a pure function of layers in which deny wins, and the router enforces it."),
  T4: later(toolWork, "An approval is bound to a digest, used once and expires; silence means deny."),
  T5: later(toolWork, "A tool definition that changed after its approval is quarantined."),
  T6: later(toolWork, "Tool results are bounded and redacted before anything else sees them."),
  T7: later(toolWork, "An MCP server is one process, and its faults cost only itself."),
  F1: holds("One bad part (a tool, a block, a picture, a line, a key) costs itself alone."),
  F2: holds("No session stays dead: a history that a model's API refuses is mended and asked for once more."),
  F3: holds("Unknown is said only of a call of which nobody can know the outcome."),
  F4: holds("Every resource has a bound that is a sum, and what is refused costs less than what was sent."),
} as const satisfies Record<string, Requirement>;

type CitedId = keyof typeof requirements | ReportId;

/** Cites requirements in the title of a test or suite: `` describe(`resume ${verifies("S2")}`, …) ``. */
export function verifies(...ids: readonly [CitedId, ...CitedId[]]): string {
  return `[${ids.join(" ")}]`;
}
