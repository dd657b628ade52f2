/**
 * From the key that a caller gives to the one that finds its session, and the agent that answers in it.
 *
 * Keeps: one conversation has one key, however it is written, and different people have different ones, unless
 * `directScope` says otherwise. Pure.
 */
import type { DirectScope } from "../../kernel/config/resolved-config.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { boundAgent, type ScopeBinding } from "../../kernel/scope-bindings.ts";
import { formatSessionKey, longestKey, parseSessionKey, type SessionScope } from "../../kernel/session-key.ts";

export interface KeyRouting {
  /** The agent of a session that names none, and that no binding gives one. Default `main`. */
  readonly defaultAgent: string;
  /** Which agent answers in a scope, when its key names none; in order (orderBindings). */
  readonly bindings: readonly ScopeBinding[];
  /** What direct conversations share: everything, one person's channels, or nothing. Default `channel_peer`. */
  readonly directScope: DirectScope;
}

export interface RoutedKey {
  /** Empty for a session without one. */
  readonly key: string;
  readonly agentId: string;
}

/**
 * @param agentId The agent that the caller asks for beside the key; empty for none.
 * @param path The field that the key stands in.
 *
 * Errors: FIELD_INVALID (`key`) for a key that can't be read, (`agent_id`) for one that names another agent.
 */
export function routeKey(routing: KeyRouting, text: string, agentId: string, path = "key"): RoutedKey {
  if (text === "") return { key: "", agentId: agentId || routing.defaultAgent };
  const parsed = parseSessionKey(text);
  if ("problem" in parsed) throw keyInvalid(path, parsed.problem);
  const { agentId: named, scope } = parsed.value;
  if (named !== undefined && agentId !== "" && agentId !== named) {
    throw keyInvalid("agent_id", `is ${agentId}, and the key is of the agent ${named}: name one of them`);
  }
  const answering = named ?? (agentId || (boundAgent(scope, routing.bindings) ?? routing.defaultAgent));
  const key = formatSessionKey(answering, sharedScope(scope, routing.directScope));
  if (key.length > longestKey) {
    throw keyInvalid(path, `has ${key.length} characters with its agent, and ${longestKey} are the most`);
  }
  return { key, agentId: answering };
}

function sharedScope(scope: SessionScope, directScope: DirectScope): SessionScope {
  const [kind, ...peer] = scope;
  if (kind !== "direct" || directScope === "channel_peer") return scope;
  return directScope === "main" ? ["main"] : ["direct", ...peer.slice(-1)];
}

export function keyInvalid(path: string, problem: string): Error {
  return failure(ErrorReason.FIELD_INVALID, `${path} ${problem}`, { fields: [{ path, problem }] });
}
