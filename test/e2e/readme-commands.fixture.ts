/** What README.md tells people to type, block by block. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { repository } from "../support/source-files.ts";

interface ReadmeBlock {
  readonly section: string;
  /** The word behind the fence; empty for an indented block. */
  readonly language: string;
  readonly text: string;
}

/** Indented and fenced blocks, without their indentation and fences. */
function readBlocks(): ReadmeBlock[] {
  const blocks: ReadmeBlock[] = [];
  let section = "";
  let open: { language: string; lines: string[] } | undefined;
  const close = (): void => {
    const text = open?.lines.join("\n").trim() ?? "";
    if (open !== undefined && text !== "") blocks.push({ section, language: open.language, text });
    open = undefined;
  };
  for (const line of readFileSync(join(repository, "README.md"), "utf8").split("\n")) {
    const fence = /^```(\w*)/.exec(line);
    if (fence !== null) {
      const isEnd = open !== undefined && open.language !== "";
      close();
      if (!isEnd) open = { language: fence[1] || "text", lines: [] };
    } else if (open !== undefined && open.language !== "") open.lines.push(line);
    else if (line.startsWith("    ")) {
      open ??= { language: "", lines: [] };
      open.lines.push(line.slice(4));
    } else if (line === "" && open !== undefined) open.lines.push("");
    else {
      close();
      if (line.startsWith("## ")) section = line.slice(3);
    }
  }
  close();
  return blocks;
}

/** The commands of a block, each with the lines that belong to it; assignments and comments stand before what needs them. */
function readCommands(text: string): string[] {
  const commands: string[] = [];
  let pending: string[] = [];
  let heredoc: string | undefined;
  for (const line of text.split("\n")) {
    if (heredoc === undefined && (line.trim() === "" || line.startsWith("#"))) continue;
    pending.push(line);
    if (heredoc === undefined) heredoc = /<<'(\w+)'/.exec(line)?.[1];
    else if (line === heredoc) heredoc = undefined;
    if (heredoc !== undefined || line.endsWith("\\")) continue;
    commands.push(pending.join("\n"));
    pending = [];
  }
  return commands;
}

export const readmeBlocks = readBlocks();

export const readmeCommands = readmeBlocks
  .filter(({ language }) => language === "")
  .flatMap(({ text }) => (isYaml(text) ? [] : readCommands(text)));

/** The commands that a test has asked for, so that one left out is noticed. */
export const askedCommands = new Set<string>();

export function isYaml(text: string): boolean {
  return text.startsWith("agents:");
}

/** The command of README.md that begins so; the test fails when it is not there, or not alone. */
export function command(beginning: string): string {
  const found = readmeCommands.filter((each) => each.startsWith(beginning));
  expect(found, `the command of README.md that begins with ${beginning}`).toHaveLength(1);
  for (const each of found) askedCommands.add(each);
  return found[0] ?? "";
}
