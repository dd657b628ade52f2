/**
 * Reads a server's entry in whatever program's words into a map with the keys of our own contract.
 *
 * Keeps F1: a key that is not understood is a warning, a value that can't be used a problem of this server alone. What the
 * contract's own keys may hold is not decided here: the strict reader checks it afterwards.
 */
import { McpServerSchema } from "../../../../gen/atoll/config/v1/mcp_server_pb.ts";
import type { ConfigSource } from "../config-error.ts";
import type { ReportWarning } from "../config-warning.ts";
import { nearMiss } from "../near-miss.ts";
import { type ConfigEntry, type ConfigMap, type ConfigNode, keyPath } from "../reading/config-node.ts";
import { rulesOf } from "../reading/field-rules.ts";
import { coerceFields } from "./coerce-fields.ts";
import {
  bearerWords,
  enabledWords,
  environmentWords,
  lettersOf,
  startWords,
  synonyms,
  type TimeoutWord,
  timeoutWords,
  transportWords,
  unusedWords,
  wordsWithoutEffect,
} from "./foreign-keys.ts";
import { readCommand } from "./read-command.ts";
import { readTimeout } from "./read-timeout.ts";
import { ServerDraft } from "./server-draft.ts";

export interface EntryReading {
  /** With the contract's keys. */
  readonly map: ConfigMap;
  readonly problems: ServerDraft["problems"];
}

export interface EntryContext {
  /** For example `servers.github`. */
  readonly path: string;
  readonly warn: ReportWarning;
  /** Whether a program's name with blanks in it is a file. */
  readonly isFile: (name: string) => boolean;
}

const ownFields = new Map(McpServerSchema.fields.map((field) => [field.jsonName, field]));
const ownKeys = new Map([...ownFields.keys()].map((key) => [lettersOf(key), key]));

export function readEntry(value: ConfigNode, source: ConfigSource, context: EntryContext): EntryReading {
  const draft = new ServerDraft(context.path, source, context.warn);
  const empty = value.kind === "scalar" && value.value === null;
  if (value.kind === "map") {
    const entries = flatten(value.entries, draft);
    // Words of our own first, so that they win over others' for the same thing; Gemini's `httpUrl` wins over its `url`.
    const rank = ({ key }: ConfigEntry): number => {
      if (key === "httpUrl") return 0;
      // Where a secret goes depends on all the others.
      return ownFields.has(key) ? 1 : bearerWords.has(lettersOf(key)) || environmentWords.has(lettersOf(key)) ? 3 : 2;
    };
    for (const entry of entries.toSorted((a, b) => rank(a) - rank(b))) readKey(entry, draft);
  } else if (!empty) draft.fail("", "it is not a map with `command` or `url`", value.source);
  coerceFields(draft, ownFields);
  readCommand(draft, context.isFile);
  if (draft.withoutEffect.length > 0) {
    draft.warn("", `${draft.withoutEffect.map((key) => `\`${key}\``).join(", ")}: nothing depends on it here`, source);
  }
  return { map: draft.toMap(), problems: draft.problems };
}

/** `transport: {type, …}`, `requestInit: {headers}` and Zed's `command: {path, args, env}` hold what stands beside them elsewhere. */
function flatten(entries: readonly ConfigEntry[], draft: ServerDraft): ConfigEntry[] {
  return entries.flatMap((entry): readonly ConfigEntry[] => {
    const { key, value } = entry;
    if (value.kind !== "map") return [entry];
    if (key === "transport" || key === "requestInit" || key === "requestOptions") return value.entries;
    if (key === "command") {
      return value.entries.map((inner) => (inner.key === "path" ? { ...inner, key: "command" } : inner));
    }
    if (synonyms.get(lettersOf(key)) === "type")
      draft.fail(key, "it is not a text such as `stdio` or `http`", value.source);
    return [entry];
  });
}

function readKey({ key, value, source }: ConfigEntry, draft: ServerDraft): void {
  if (value.kind === "scalar" && value.value === null) return;
  const letters = lettersOf(key);
  const own = ownFields.has(key) ? key : (synonyms.get(letters) ?? ownKeys.get(letters));
  const timeout = timeoutWords.get(letters);
  if (own === "type") readType(key, value, draft);
  else if (own !== undefined) draft.set(own, value, key);
  else if (enabledWords.has(letters)) setEnabled(key, value, draft);
  else if (timeout !== undefined) setTimeLimit(key, value, timeout, draft);
  else if (letters === "envkeys" || letters === "envvars") addFromEnvironment(key, value, draft);
  else if (letters === "bearertokenenvvar") addBearer(key, asReference(value), draft);
  else if (letters === "envhttpheaders") addHeadersFromEnvironment(key, value, draft);
  else if (bearerWords.has(letters)) addBearer(key, value, draft);
  else if (wordsWithoutEffect.has(letters)) draft.withoutEffect.push(key);
  else warnUnused(key, letters, value, source, draft);
}

function warnUnused(key: string, letters: string, value: ConfigNode, source: ConfigSource, draft: ServerDraft): void {
  // What is off asks for nothing; starting by itself is what every server does here.
  const isUsual =
    value.kind === "scalar"
      ? value.value === startWords.has(letters)
      : value.kind === "list" && value.items.length === 0;
  const known = unusedWords.get(letters);
  if (known !== undefined) {
    if (!isUsual) draft.warn(inPath(key), `it is not used: ${known}`, source);
    return;
  }
  const meant = nearMiss(key, [...ownFields.keys()]);
  const hint = meant === undefined ? "" : `; did you mean \`${meant}\`?`;
  draft.warn(inPath(key), `this key is not known and not used${hint}`, source);
}

function inPath(key: string): string {
  return keyPath("", key);
}

function readType(key: string, value: ConfigNode, draft: ServerDraft): void {
  const word = value.kind === "scalar" ? lettersOf(String(value.value)) : "";
  if (word === "auto") return;
  const { source } = value;
  const type = transportWords.get(word);
  if (type !== undefined) {
    const own = value.kind === "scalar" && value.value === "streamable-http" ? "streamable-http" : type;
    draft.set("type", { kind: "scalar", source, value: own, written: own }, key);
    if (word.endsWith("sse")) {
      const text = "`sse` is asked with Streamable HTTP; a server of the older transport alone does not answer";
      draft.warn(inPath(key), text, source);
    }
  } else if (word === "websocket" || word === "ws" || word === "wss") {
    draft.fail(key, "WebSocket is not spoken: `stdio` and Streamable HTTP (`http`) are", source);
  } else draft.fail(key, "no transport of this name is known: `stdio` or `http` would be one", source);
}

function setEnabled(key: string, value: ConfigNode, draft: ServerDraft): void {
  const isFalse = value.kind === "scalar" && (value.value === false || value.value === "false");
  const isTrue = value.kind === "scalar" && (value.value === true || value.value === "true");
  const disabled: ConfigNode = { kind: "scalar", source: value.source, value: isFalse, written: String(isFalse) };
  // Two words that disagree: off is the safe one.
  if (isFalse) draft.replace("disabled", disabled, key);
  else if (isTrue) draft.set("disabled", disabled, key);
  else draft.fail(key, "it is not true or false", value.source);
}

function setTimeLimit(key: string, value: ConfigNode, { key: own, unit }: TimeoutWord, draft: ServerDraft): void {
  const field = ownFields.get(own);
  const max = field === undefined ? undefined : rulesOf(field).max;
  const reading = readTimeout(value, unit);
  if (reading === undefined) {
    draft.warn(inPath(key), "it is no time and not used", value.source);
    return;
  }
  const ms = reading.ms === 0 ? (max ?? 0) : Math.min(reading.ms, max ?? reading.ms);
  if (reading.guessed || ms !== reading.ms) draft.warn(inPath(key), `it is read as ${own} ${ms}`, value.source);
  draft.set(own, { kind: "scalar", source: value.source, value: ms, written: String(ms) }, key);
}

/** Names of variables that the server gets from the mesh's own environment. */
function addFromEnvironment(key: string, value: ConfigNode, draft: ServerDraft): void {
  for (const item of value.kind === "list" ? value.items : [value]) {
    if (item.kind !== "scalar" || typeof item.value !== "string") {
      draft.warn(inPath(key), "what is no variable's name in it is not used", item.source);
    } else draft.put("env", { key: item.value, source: item.source, value: asReference(item) });
  }
}

function addHeadersFromEnvironment(key: string, value: ConfigNode, draft: ServerDraft): void {
  if (value.kind !== "map") draft.warn(inPath(key), "it is not a map and not used", value.source);
  else for (const entry of value.entries) draft.put("headers", { ...entry, value: asReference(entry.value) });
}

function asReference(node: ConfigNode): ConfigNode {
  if (node.kind !== "scalar") return node;
  const text = `\${${String(node.value)}}`;
  return { ...node, value: text, written: text };
}

/** A scheme in front (`Basic …`) stays. Only an address has somewhere to send it. */
function addBearer(key: string, value: ConfigNode, draft: ServerDraft): void {
  const inside = value.kind === "map" ? value.entries.find((entry) => lettersOf(entry.key) === "token")?.value : value;
  if (inside?.kind === "scalar" && inside.value === false) return;
  if (inside?.kind !== "scalar" || typeof inside.value !== "string" || inside.value === "oauth") {
    draft.warn(inPath(key), "it is not used: give what the server wants in `headers`", value.source);
  } else if (draft.get("url") === undefined) {
    draft.warn(inPath(key), "it is not used: a program gets secrets in `env`", value.source);
  } else {
    const text = /^[A-Za-z][\w-]* ./.test(inside.value) ? inside.value : `Bearer ${inside.value}`;
    const header: ConfigEntry = { key: "Authorization", source: inside.source, value: { ...inside, value: text } };
    const isNew = draft.put("headers", header);
    if (!isNew) draft.warn(inPath(key), "it is not used, because `headers` has Authorization", value.source);
    else if (lettersOf(key) === "apikey")
      draft.warn(inPath(key), "it is sent as `Authorization: Bearer …`", value.source);
  }
}
