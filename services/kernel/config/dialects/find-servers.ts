/**
 * Finds the MCP servers of a configuration, wherever the program that it comes from keeps them.
 *
 * Keeps: inside these places everything is understood or warned about; a key beside them is the strict reader's. A file of
 * another program, asked for by its name, is used for its servers alone. L7: at most 256 servers are read.
 */

import type { ReportWarning } from "../config-warning.ts";
import { type ConfigEntry, type ConfigMap, type ConfigNode, keyPath } from "../reading/config-node.ts";

const maxServers = 256;

export interface FoundServer {
  /** As it is written. */
  readonly name: string;
  /** For example `servers.github`. */
  readonly path: string;
  readonly entry: ConfigEntry;
}

export interface FoundServers {
  readonly servers: readonly FoundServer[];
  /** What VS Code asks its user for: id and default. */
  readonly inputs: ReadonlyMap<string, string | undefined>;
  /** The configuration without the servers. */
  readonly rest: ConfigMap;
}

/** The keys of a configuration that hold servers: Claude, Cursor, Cline and ours; VS Code; Zed; Codex; goose; Amp. */
const containerKeys: ReadonlySet<string> = new Set([
  "mcpServers",
  "servers",
  "mcp",
  "context_servers",
  "mcp_servers",
  "extensions",
  "amp.mcpServers",
]);

/** Whether a path stands inside of what holds servers: there a key that comes twice is a warning. */
export function isInServers(path: string): boolean {
  const [first = ""] = /^(?:\["amp\.mcpServers"\]|[\w-]+)/.exec(path) ?? [];
  return first !== path && containerKeys.has(first === '["amp.mcpServers"]' ? "amp.mcpServers" : first);
}

export interface FindServersOptions {
  /** Keys of our own beside `mcpServers`, with the kind of value that each takes. */
  readonly ownKeys: ReadonlyMap<string, ConfigNode["kind"]>;
  /** Whether the file may be another program's: it was asked for and is not named like ours. */
  readonly mayBeForeign: boolean;
  readonly warn: ReportWarning;
}

/** Takes the servers out of the tree. */
export function findServers(tree: ConfigMap, { ownKeys, mayBeForeign, warn }: FindServersOptions): FoundServers {
  const servers: FoundServer[] = [];
  const inputs = new Map<string, string | undefined>();
  const rest: ConfigEntry[] = [];
  const passedOver: ConfigEntry[] = [];
  const isOwn = ({ key, value }: ConfigEntry): boolean => ownKeys.get(key) === value.kind;
  const hasContainer = tree.entries.some(({ key, value }) => containerKeys.has(key) && value.kind !== "scalar");
  const isForeign = mayBeForeign && hasContainer && !tree.entries.some(isOwn);
  for (const entry of tree.entries) {
    const { key, value } = entry;
    if (containerKeys.has(key) && value.kind !== "scalar") servers.push(...readContainer(entry, inputs, warn));
    else if (key === "inputs" && value.kind === "list" && hasContainer) readInputs(value, inputs);
    else if (isForeign) passedOver.push(entry);
    else rest.push(entry);
  }
  const [first] = passedOver;
  if (first !== undefined) {
    const keys = passedOver.map(({ key }) => `\`${key}\``);
    const shown = keys.length > 10 ? [...keys.slice(0, 10), `${keys.length - 10} more`] : keys;
    warn({
      path: "",
      text: `only the MCP servers of this file are used; not ${shown.join(", ")}`,
      source: first.source,
    });
  }
  return { servers: boundServers(lastOfEach(servers, warn), warn), inputs, rest: { ...tree, entries: rest } };
}

function readContainer(
  { key, value, source }: ConfigEntry,
  inputs: Map<string, string | undefined>,
  warn: ReportWarning,
): FoundServer[] {
  const path = keyPath("", key);
  if (value.kind === "list") return readList(value.items, path, warn);
  if (value.kind === "scalar") return [];
  if (key !== "mcp") return readMap(value, path, key === "extensions", warn);
  // VS Code's settings have `servers` and `inputs` in it, opencode the servers themselves.
  const inside = value.entries.find((entry) => isServersMap(entry));
  if (inside === undefined) return readMap(value, path, false, warn);
  for (const entry of value.entries) {
    if (entry === inside) continue;
    if (entry.key === "inputs" && entry.value.kind === "list") readInputs(entry.value, inputs);
    else warn({ path: keyPath(path, entry.key), text: "it is not used", source: entry.source });
  }
  return readContainer({ key: inside.key, value: inside.value, source }, inputs, warn).map((server) => ({
    ...server,
    path: `${path}.${server.path}`,
  }));
}

/** `servers: {a: {…}}`, and not a server that is named `servers`. */
function isServersMap({ key, value }: ConfigEntry): boolean {
  if ((key !== "servers" && key !== "mcpServers") || value.kind !== "map") return false;
  return value.entries.every(
    (entry) => entry.value.kind === "map" && !["command", "headers", "env"].includes(entry.key),
  );
}

function readMap(map: ConfigMap, path: string, isGoose: boolean, warn: ReportWarning): FoundServer[] {
  return map.entries.flatMap((entry): FoundServer[] => {
    const here = keyPath(path, entry.key);
    if (isGoose && isPartOfGoose(entry.value)) {
      warn({ path: here, text: "it is a part of goose itself, not an MCP server", source: entry.source });
      return [];
    }
    return [{ name: entry.key, path: here, entry }];
  });
}

/** Its own extensions have these types and no program or address. */
function isPartOfGoose(value: ConfigNode): boolean {
  const type = value.kind === "map" ? textOf(value, "type") : undefined;
  return type !== undefined && ["builtin", "platform", "frontend", "inline_python"].includes(type);
}

/** Continue's form: each item has its name inside. */
function readList(items: readonly ConfigNode[], path: string, warn: ReportWarning): FoundServer[] {
  return items.flatMap((item, index): FoundServer[] => {
    const here = `${path}[${index}]`;
    if (item.kind !== "map") {
      warn({
        path: here,
        text: "it is no server: a map with `name` and `command` or `url` is one",
        source: item.source,
      });
      return [];
    }
    const only = item.entries.length === 1 ? item.entries[0] : undefined;
    // A list of one-key maps: `- github: {command: …}`.
    if (only?.value.kind === "map") return [{ name: only.key, path: keyPath(here, only.key), entry: only }];
    const name = textOf(item, "name") ?? `server-${index + 1}`;
    const entries = item.entries.filter(({ key }) => key !== "name");
    return [{ name, path: here, entry: { key: name, source: item.source, value: { ...item, entries } } }];
  });
}

function readInputs(
  { items }: { readonly items: readonly ConfigNode[] },
  inputs: Map<string, string | undefined>,
): void {
  for (const item of items) {
    const id = item.kind === "map" ? textOf(item, "id") : undefined;
    if (item.kind === "map" && id !== undefined) inputs.set(id, textOf(item, "default"));
  }
}

function textOf(map: ConfigMap, key: string): string | undefined {
  const value = map.entries.find((entry) => entry.key === key)?.value;
  return value?.kind === "scalar" && typeof value.value === "string" ? value.value : undefined;
}

/** Of two servers with one name the last one counts, as it does where these files come from. */
function lastOfEach(servers: readonly FoundServer[], warn: ReportWarning): FoundServer[] {
  const last = new Map(servers.map((server) => [server.name, server]));
  return servers.filter((server) => {
    const winner = last.get(server.name);
    if (winner === server || winner === undefined) return true;
    warn({
      path: server.path,
      text: `another server has this name; ${winner.path} is used`,
      source: server.entry.source,
    });
    return false;
  });
}

function boundServers(servers: readonly FoundServer[], warn: ReportWarning): readonly FoundServer[] {
  const beyond = servers[maxServers];
  if (beyond === undefined) return servers;
  const text = `this server and all behind it are left out: at most ${maxServers} are read`;
  warn({ path: beyond.path, text, source: beyond.entry.source });
  return servers.slice(0, maxServers);
}
