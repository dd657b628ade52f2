/**
 * The one parser of session keys: `agent:<agent>:<scope>`, or a scope alone, whose agent is chosen elsewhere.
 *
 * | scope                              | whose conversation it is                              |
 * | ---------------------------------- | ----------------------------------------------------- |
 * | `main`                             | the agent's own                                       |
 * | `direct:<peer>`                    | one person's                                          |
 * | `direct:<channel>:<peer>`          | one person's on one channel                           |
 * | `group:<channel>:<group>`          | a group's                                             |
 * | `channel:<channel>:<room>`         | a room's                                              |
 * | `thread:<channel>:<room>:<thread>` | a thread's in a room                                  |
 * | `global`                           | everybody's                                           |
 * | any other words, `nightly:report`  | whatever a program makes of them                      |
 *
 * Keeps: agent, kind and channel are the same in every case of letters and stand in lower case; peers, groups, rooms,
 * threads and free words are taken as they are, because many messengers tell `a` from `A`. A part has 1 or more of A–Z,
 * a–z, 0–9 and `.` `_` `@` `+` `-`: other letters, wide ones among them, are refused, never folded, so that no two
 * people are taken for one. What is parsed and written again is the same.
 */

/** The parts of a scope, normalised; at least one. */
export type SessionScope = readonly string[];

export interface SessionKey {
  /** Undefined when the key is a scope alone. */
  readonly agentId: string | undefined;
  readonly scope: SessionScope;
}

/** What was read, or what is wrong with it, for people. */
export type ParsedKey<Value> = { readonly value: Value } | { readonly problem: string };

export const longestKey = 256;

/** How many parts a kind of scope may have, itself included, and how it is written. */
const kinds: ReadonlyMap<string, { readonly parts: readonly number[]; readonly form: string }> = new Map([
  ["main", { parts: [1], form: "main" }],
  ["global", { parts: [1], form: "global" }],
  ["direct", { parts: [2, 3], form: "direct:<peer> or direct:<channel>:<peer>" }],
  ["group", { parts: [3], form: "group:<channel>:<group>" }],
  ["channel", { parts: [3], form: "channel:<channel>:<room>" }],
  ["thread", { parts: [4], form: "thread:<channel>:<room>:<thread>" }],
]);

const part = /^[A-Za-z0-9._@+-]+$/;
const agentName = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** Stands for any part in a pattern. */
export const anyPart = "*";

export function parseSessionKey(text: string): ParsedKey<SessionKey> {
  if (text.length > longestKey) return { problem: `has ${text.length} characters, and ${longestKey} are the most` };
  const [first = "", second = "", ...rest] = text.split(":");
  if (first.toLowerCase() !== "agent") {
    const scope = parseScope(text.split(":"));
    return "problem" in scope ? scope : { value: { agentId: undefined, scope: scope.value } };
  }
  const agentId = second.toLowerCase();
  if (!agentName.test(agentId)) {
    return { problem: "must be agent:<agent>:<scope>, the agent 1–64 of a–z, 0–9, _ and -, or a scope alone" };
  }
  if (rest.length === 0) return { problem: `has no scope: agent:${agentId}:main is the agent's own` };
  const scope = parseScope(rest);
  return "problem" in scope ? scope : { value: { agentId, scope: scope.value } };
}

/** The key in full. */
export function formatSessionKey(agentId: string, scope: SessionScope): string {
  return ["agent", agentId, ...scope].join(":");
}

/**
 * A scope in which `*` stands for one part, and at the end for all that follow, for example `group:telegram:*`. It is
 * refused when no scope can match it.
 */
export function parseScopePattern(text: string): ParsedKey<SessionScope> {
  if (text.length > longestKey) return { problem: `has ${text.length} characters, and ${longestKey} are the most` };
  return parseScope(text.split(":"), anyPart);
}

function parseScope(parts: readonly string[], wildcard?: string): ParsedKey<SessionScope> {
  const wrong = parts.find((each) => each !== wildcard && !part.test(each));
  if (wrong !== undefined) {
    return { problem: `has the part ${JSON.stringify(wrong)}: a part is 1 or more of A–Z, a–z, 0–9 and . _ @ + -` };
  }
  const [first = "", ...rest] = parts;
  const name = first.toLowerCase();
  if (name === "agent") return { problem: "has the scope agent, which is no scope" };
  const kind = kinds.get(name);
  if (kind === undefined) return { value: parts };
  const isOpen = wildcard !== undefined && parts.length > 1 && parts.at(-1) === wildcard;
  const longest = Math.max(...kind.parts);
  if (!(kind.parts.includes(parts.length) || (isOpen && parts.length <= longest))) {
    return { problem: `has a scope of the kind ${name} that is not ${kind.form}` };
  }
  // The channel, where there is one; `direct:<peer>` has none.
  const [channel = "", ...others] = rest;
  const hasChannel = longest > 2 && (parts.length > 2 || name !== "direct");
  return { value: [name, ...(hasChannel ? [channel.toLowerCase(), ...others] : rest)] };
}
