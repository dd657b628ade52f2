/**
 * Which of the listed tools a sentence asks for: by name, by what people want of files, or by the words that it shares
 * with a tool's name and description.
 */
import type { ModelTool } from "../model.ts";
import { fillArguments } from "./fill-arguments.ts";
import { findMentions, type Mentions } from "./find-mentions.ts";
import { parseObject } from "./read-request.ts";
import type { ScriptedCall } from "./script.ts";

export type Choice =
  | { readonly kind: "calls"; readonly calls: readonly ScriptedCall[] }
  | { readonly kind: "lacking"; readonly tool: string; readonly missing: readonly string[] }
  /** The words ask for something that a tool would do, and none is listed. */
  | { readonly kind: "no-tool"; readonly wanted: string }
  | { readonly kind: "nothing" };

/** The most calls of one step (L7). */
const mostCalls = 8;

const nothing: Choice = { kind: "nothing" };

export function chooseCalls(sentence: string, tools: readonly ModelTool[]): Choice {
  const mentions = findMentions(
    sentence,
    tools.map((tool) => tool.name),
  );
  const named = namedTool(sentence, tools);
  if (named !== undefined) return callNamed(sentence, named, mentions);
  const files = chooseFileCalls(sentence, tools, mentions);
  if (files.kind !== "nothing") return files;
  return chooseByWords(sentence, tools, mentions);
}

interface NamedTool {
  readonly tool: ModelTool;
  /** Where its name ends in the sentence. */
  readonly end: number;
  readonly start: number;
}

/** The full name, or the tool's own name when it can't be an ordinary word. */
function namedTool(sentence: string, tools: readonly ModelTool[]): NamedTool | undefined {
  const byLength = [...tools].sort((a, b) => b.name.length - a.name.length || (a.name < b.name ? -1 : 1));
  const findAs = (spell: (tool: ModelTool) => string | undefined): NamedTool | undefined => {
    for (const tool of byLength) {
      const name = spell(tool);
      const start = name === undefined ? -1 : wholeWord(sentence, name);
      if (name !== undefined && start !== -1) return { tool, start, end: start + name.length };
    }
    return undefined;
  };
  const calls = /\b(?:call|use|run|invoke|tool)\b/i.test(sentence);
  return (
    findAs((tool) => tool.name) ?? findAs((tool) => (/[_-]/.test(ownName(tool)) || calls ? ownName(tool) : undefined))
  );
}

function wholeWord(sentence: string, word: string): number {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return sentence.search(new RegExp(`(?<![\\w.-])${escaped}(?![\\w-])`, "i"));
}

function ownName(tool: ModelTool): string {
  return tool.name.slice(tool.name.indexOf(".") + 1);
}

function callNamed(sentence: string, { tool, start, end }: NamedTool, mentions: Mentions): Choice {
  const after = sentence.slice(end);
  const json = after.includes("{")
    ? parseObject(after.slice(after.indexOf("{"), after.lastIndexOf("}") + 1))
    : undefined;
  if (json !== undefined) return { kind: "calls", calls: [{ tool: tool.name, arguments: json }] };
  const rest = after.replace(/^[\s"'`]*(?:tool\b)?\s*(?:with|for|on|to|and|about|saying|:)*\s*/i, "");
  const cleaned = { ...mentions, quoted: mentions.quoted.filter((text) => !sentence.slice(start, end).includes(text)) };
  return callOrLack(tool, cleaned, rest);
}

function callOrLack(tool: ModelTool, mentions: Mentions, rest: string): Choice {
  const { arguments: filled, missing } = fillArguments(tool.inputSchema, mentions, rest);
  if (missing.length > 0) return { kind: "lacking", tool: tool.name, missing };
  return { kind: "calls", calls: [{ tool: tool.name, arguments: filled }] };
}

/** Listing, reading and writing files: what a workspace is asked for most. */
function chooseFileCalls(sentence: string, tools: readonly ModelTool[], mentions: Mentions): Choice {
  const written =
    /\b(?:write|save|put|store)\s+([\s\S]+?)\s+(?:in|into|to|as)\s+\S+$|\bcreate\b[\s\S]*?\b(?:with|saying|containing)\s+([\s\S]+)$/i.exec(
      sentence,
    );
  if (written !== null && mentions.files.length > 0) {
    const text = (written[1] ?? written[2] ?? "").replace(/^(?:the )?(?:text|words?|content)\s+/i, "");
    return callFileTool(tools, writeNames, { ...mentions, files: mentions.files.slice(-1) }, text);
  }
  const lists =
    /\b(?:which|what|list|show|see|are there|any)\b[^.?!]*\b(?:files?|folders?|director(?:y|ies)|workspace)\b/i.test(
      sentence,
    ) || /^ls\b/i.test(sentence);
  const reads =
    mentions.files.length > 0 &&
    /\b(?:say|says|said|read|show|contains?|contents?|what|what's|open|print|display|summari[sz]e|cat|look|in)\b/i.test(
      sentence,
    );
  if (!lists && !reads) return nothing;
  const none = { ...mentions, files: [] };
  const wishes = [
    ...(lists ? [callFileTool(tools, listNames, none, "")] : []),
    ...(reads ? mentions.files.map((file) => callFileTool(tools, readNames, { ...mentions, files: [file] }, "")) : []),
  ];
  const calls = wishes.flatMap((wish) => (wish.kind === "calls" ? wish.calls : []));
  return calls.length > 0 ? { kind: "calls", calls: calls.slice(0, mostCalls) } : (wishes[0] ?? nothing);
}

/** Best first. */
const listNames = [/^list_director(?:y|ies)$/, /^list_(?:files|dir)$/, /^ls$/, /^list.*(?:file|dir|folder)/];
const readNames = [/^read_text_file$/, /^read_file$/, /^(?:cat|get_file|view_file|open_file)$/, /^read.*file/];
const writeNames = [/^write_(?:text_)?file$/, /^(?:save|create|put)_file$/, /^write.*file/];

function callFileTool(tools: readonly ModelTool[], names: readonly RegExp[], mentions: Mentions, rest: string): Choice {
  const byName = [...tools].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const name of names) {
    const tool = byName.find((candidate) => name.test(ownName(candidate).toLowerCase()));
    if (tool !== undefined) return callOrLack(tool, mentions, rest);
  }
  const wanted = names === listNames ? "list files" : names === readNames ? "read a file" : "write a file";
  return { kind: "no-tool", wanted };
}

const commonWords = new Set(
  "the a an and or of to in on for with from by is are be do does it this that what which who how can could would please me my i you your tool tools use call run get give tell about all any returns return".split(
    " ",
  ),
);

/** A tool is chosen when the sentence says every word of its name, or most of them and its arguments are there. */
function chooseByWords(sentence: string, tools: readonly ModelTool[], mentions: Mentions): Choice {
  const said = stems(sentence);
  const scored = tools.map((tool) => ({ tool, score: likeness(said, tool) })).filter(({ score }) => score >= 2);
  scored.sort((a, b) => b.score - a.score || (a.tool.name < b.tool.name ? -1 : 1));
  const best = scored[0]?.tool;
  if (best === undefined) return nothing;
  const nameWords = [...stems(ownName(best))];
  const rest = sentence.replace(new RegExp(`^.*?\\b(?:${nameWords.join("|")})\\w*\\s*`, "i"), "");
  return callOrLack(best, mentions, rest);
}

function likeness(said: ReadonlySet<string>, tool: ModelTool): number {
  const name = stems(ownName(tool));
  const shared = [...name].filter((word) => said.has(word)).length;
  if (shared === 0) return 0;
  const described = [...stems(tool.description)].filter((word) => said.has(word) && !name.has(word)).length;
  return (shared === name.size ? 2 : shared) + Math.min(described, 3) * 0.4;
}

function stems(text: string): Set<string> {
  const words =
    text
      .replace(/([a-z])([A-Z])/g, "$1 $2")
      .toLowerCase()
      .match(/[a-z]{2,}/g) ?? [];
  return new Set(
    words.filter((word) => !commonWords.has(word)).map((word) => word.replace(/(?:ing|es|s)$/, "") || word),
  );
}
