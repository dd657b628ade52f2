/** Reads one entry of a list of tools. What is missing, null or of the wrong type is as if it were not there. */
import { isObject, member } from "../schema/json-parts.ts";

/** A tool as its server writes it; the schemas are whatever stands there. */
export interface ListedTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: unknown;
  /** Null or undefined when the tool gives no structured answer. */
  readonly outputSchema: unknown;
  readonly hints: {
    readonly readOnly: boolean;
    readonly destructive: boolean;
    readonly idempotent: boolean;
    readonly openWorld: boolean;
  };
}

export type ReadTool =
  | { readonly kind: "tool"; readonly tool: ListedTool }
  /** It can't even be named; `problem` is a clause. */
  | { readonly kind: "nothing"; readonly problem: string };

export function readTool(entry: unknown): ReadTool {
  if (!isObject(entry)) return { kind: "nothing", problem: "is no object" };
  const { name, description, annotations } = entry;
  if (typeof name !== "string" || name === "") return { kind: "nothing", problem: "has no name" };
  return {
    kind: "tool",
    tool: {
      name,
      title: textOf(entry.title) || textOf(member(annotations, "title")),
      description: textOf(description),
      inputSchema: entry.inputSchema,
      outputSchema: entry.outputSchema,
      // The defaults of MCP 2025-11-25, ToolAnnotations.
      hints: {
        readOnly: flagOf(member(annotations, "readOnlyHint"), false),
        destructive: flagOf(member(annotations, "destructiveHint"), true),
        idempotent: flagOf(member(annotations, "idempotentHint"), false),
        openWorld: flagOf(member(annotations, "openWorldHint"), true),
      },
    },
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function flagOf(value: unknown, otherwise: boolean): boolean {
  return typeof value === "boolean" ? value : otherwise;
}
