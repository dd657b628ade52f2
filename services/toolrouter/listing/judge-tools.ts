/**
 * Judges a list of tools, tool by tool: each is usable, or unusable with a reason, or can't even be named.
 *
 * Keeps F1: what is wrong with one costs that one alone. Keeps T5's ground: what is hashed is what a person approves and a
 * model reads. Keeps L7: 16 MiB of definitions a server; the first tool with a name has it.
 */
import { createHash } from "node:crypto";
import { create, type JsonObject, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Tool, ToolSchema, ToolState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { canonicalJson } from "../../kernel/json/canonical-json.ts";
import { type CatalogTool, compareNames } from "../catalog/tool-catalog.ts";
import { escapeHidden } from "../escape-hidden.ts";
import { visibleProblem } from "../problem-text.ts";
import { mendSchema } from "../schema/mending/mend-schema.ts";
import { isRepeatable, type McpServerSettings } from "../servers/server-settings.ts";
import { nameInMesh } from "./mesh-name.ts";
import { type ListedTool, readTool } from "./read-tool.ts";

const maxTitleLength = 256;
const maxDescriptionLength = 16_384;
const maxTotalBytes = 16 * 1024 * 1024;
const maxToldProblems = 3;

export interface JudgedTools {
  /** Usable ones by name, in order of name. */
  readonly tools: ReadonlyMap<string, CatalogTool>;
  /** Unusable ones by name, in order of name; each has its problem. */
  readonly unusable: ReadonlyMap<string, Tool>;
  /** What is wrong with the list as a whole, for people; empty when nothing is. */
  readonly problem: string;
}

/** Judges a whole list. Pure, never throws. `listProblem` says why the list ends too early; empty when it does not. */
export function judgeTools(
  server: string,
  settings: McpServerSettings,
  entries: Iterable<unknown>,
  listProblem = "",
): JudgedTools {
  const judge = new ToolJudge(server, settings);
  for (const entry of entries) judge.add(entry);
  return judge.finish(listProblem);
}

/** Judges a list that comes in pieces. */
export class ToolJudge {
  readonly #server: string;
  readonly #settings: McpServerSettings;
  readonly #tools = new Map<string, CatalogTool>();
  readonly #unusable = new Map<string, Tool>();
  /** Of the first entries that are listed nowhere. */
  readonly #problems: string[] = [];
  #leftOut = 0;
  #entries = 0;
  #bytes = 0;

  constructor(server: string, settings: McpServerSettings) {
    this.#server = server;
    this.#settings = settings;
  }

  /** Whether nothing more can be listed. */
  get isFull(): boolean {
    return this.#bytes > maxTotalBytes;
  }

  /** Takes at most some tens of milliseconds, whatever the entry. */
  add(entry: unknown): void {
    this.#entries++;
    const read = readTool(entry);
    if (read.kind === "nothing") {
      this.#leaveOut(`entry ${this.#entries} ${read.problem}`);
      return;
    }
    const { name, nameAtServer } = nameInMesh(this.#server, read.tool.name);
    const isTaken = this.#tools.has(name) || this.#unusable.has(name);
    if (isTaken || this.isFull) {
      this.#leaveOut(isTaken ? `${name} comes twice` : `${name} is beyond ${maxTotalBytes} bytes of definitions`);
      return;
    }
    const shown = this.#describe(read.tool, { name, nameAtServer });
    const input = mendSchema(read.tool.inputSchema);
    if (input.kind === "unusable") {
      const problem = visibleProblem(`its schema ${input.problem}`);
      const description = cut(read.tool.description, maxTitleLength);
      const tool = create(ToolSchema, { ...shown, description, state: ToolState.UNUSABLE, problem });
      this.#unusable.set(name, tool);
      this.#bytes += toBinary(ToolSchema, tool).length;
      return;
    }
    const hasOutput = read.tool.outputSchema !== undefined && read.tool.outputSchema !== null;
    const output = hasOutput ? mendSchema(read.tool.outputSchema) : undefined;
    const notes = [
      ...input.notes,
      ...(output?.kind === "unusable" ? [`the schema of its answer is left out: it ${output.problem}`] : []),
    ];
    const outputSchema = output?.kind === "usable" ? output.schema : undefined;
    const tool = create(ToolSchema, {
      ...shown,
      inputSchema: input.schema,
      ...(outputSchema === undefined ? {} : { outputSchema }),
      state: this.#settings.trusted ? ToolState.READY : ToolState.PENDING,
      definitionHash: hashDefinition(read.tool.name, shown.description ?? "", input.schema, outputSchema),
      problem: visibleProblem(notes.join("; ")),
    });
    const bytes = toBinary(ToolSchema, tool).length;
    this.#bytes += bytes;
    this.#tools.set(name, {
      tool,
      nameAtServer: read.tool.name,
      inputSchema: input.schema,
      schemaParts: input.parts,
      bytes,
    });
  }

  finish(listProblem: string): JudgedTools {
    const problems = [
      listProblem,
      this.#unusable.size === 0 ? "" : `${this.#unusable.size} of its tools can't be used; \`atoll tools\` tells why`,
      this.#leftOut === 0 ? "" : `${countOf(this.#leftOut)} of its list left out: ${this.#tellProblems()}`,
    ];
    return {
      tools: inOrder(this.#tools),
      unusable: inOrder(this.#unusable),
      problem: visibleProblem(problems.filter((problem) => problem !== "").join("; ")),
    };
  }

  #describe(
    { name: nameAtServer, title, description, hints }: ListedTool,
    names: { readonly name: string; readonly nameAtServer: string },
  ): MessageInitShape<typeof ToolSchema> {
    return {
      ...names,
      server: this.#server,
      title: cut(title, maxTitleLength),
      description: cut(description, maxDescriptionLength),
      hints,
      repeatable: isRepeatable(this.#settings, nameAtServer),
    };
  }

  #leaveOut(problem: string): void {
    this.#leftOut++;
    if (this.#problems.length < maxToldProblems) this.#problems.push(problem);
  }

  #tellProblems(): string {
    return [...this.#problems, ...(this.#leftOut > this.#problems.length ? ["…"] : [])].join(", ");
  }
}

function hashDefinition(
  name: string,
  description: string,
  inputSchema: JsonObject,
  outputSchema: JsonObject | undefined,
): string {
  const definition = { name, description, inputSchema, outputSchema: outputSchema ?? null };
  return createHash("sha256").update(canonicalJson(definition)).digest("hex");
}

function inOrder<T>(byName: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return new Map([...byName].sort(([a], [b]) => compareNames(a, b)));
}

/** Cut before it is looked at: a server may send megabytes. */
function cut(text: string, maxLength: number): string {
  const shown = escapeHidden(text.slice(0, maxLength));
  if (shown.length <= maxLength && text.length <= maxLength) return shown;
  return `${shown.slice(0, maxLength - 1).toWellFormed()}…`;
}

function countOf(entries: number): string {
  return entries === 1 ? "1 entry" : `${entries} entries`;
}
