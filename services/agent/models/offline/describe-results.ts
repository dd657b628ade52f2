/** What the tools answered, in words. */
import { cutText } from "../../../kernel/visible-text.ts";
import type { FinishedCall } from "./read-turn.ts";

/** The most bytes of one result that are quoted; what is cut is said. */
const longestQuoteBytes = 8_192;
const entry = /^\[(FILE|DIR)\]\s+(.+?)(?:\s{2,}.*)?$/;

export function describeResults(calls: readonly FinishedCall[]): string {
  return calls.map(describeResult).join("\n\n");
}

function describeResult(call: FinishedCall): string {
  if (call.isError) return `${call.tool} failed: ${quote(call.text) || "it gave no reason"}`;
  const { path } = call.arguments;
  const entries = readEntries(call.text);
  if (entries !== undefined) return describeEntries(path, entries);
  const images = call.images > 0 ? ` It also sent ${call.images} image${call.images === 1 ? "" : "s"}.` : "";
  if (call.text.trim() === "") return `${call.tool} answered without text.${images}`;
  if (typeof path === "string" && /read|cat|view|get_file|open/.test(call.tool)) {
    return `${path} says:${images}\n\n${quote(call.text)}`;
  }
  return `${call.tool} answered:${images}\n\n${quote(call.text)}`;
}

interface Entry {
  readonly name: string;
  readonly folder: boolean;
}

/** The lines of a directory listing; undefined when the text is something else. */
function readEntries(text: string): readonly Entry[] | undefined {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const entries = lines.flatMap((line): Entry[] => {
    const match = entry.exec(line.trim());
    return match?.[2] === undefined ? [] : [{ name: match[2], folder: match[1] === "DIR" }];
  });
  return lines.length > 0 && entries.length === lines.length ? entries : undefined;
}

function describeEntries(path: unknown, entries: readonly Entry[]): string {
  const place = typeof path === "string" && path !== "." ? path : "The workspace";
  const names = entries.map(({ name, folder }) => (folder ? `${name}/` : name));
  const last = names.pop() ?? "";
  return `${place} holds ${names.length === 0 ? last : `${names.join(", ")} and ${last}`}.`;
}

function quote(text: string): string {
  return cutText(text.trimEnd(), longestQuoteBytes);
}
