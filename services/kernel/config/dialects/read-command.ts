// Keeps: a program and its arguments are one list in the end, however they were written; no shell ever reads them.
import type { ConfigNode } from "../reading/config-node.ts";
import { listOf } from "./coerce-fields.ts";
import type { ServerDraft } from "./server-draft.ts";
import { splitWords } from "./split-words.ts";

/**
 * `command: [npx, -y, server]` and `command: npx -y server`: the first word is the program, the others go before `args`.
 * A text with blanks that is a file, or begins like a path of Windows, is the program as it stands.
 */
export function readCommand(draft: ServerDraft, isFile: (name: string) => boolean): void {
  const command = draft.get("command");
  if (command?.kind === "list") {
    take(command.items, command, draft);
    return;
  }
  if (command?.kind !== "scalar" || typeof command.value !== "string") return;
  const text = command.value.trim();
  if (!/\s/.test(text) || /^["']?[A-Za-z]:[\\/]/.test(text) || isFile(text)) return;
  const split = splitWords(text);
  if ("problem" in split) {
    draft.fail(
      "command",
      `it holds ${split.problem}: no shell is used; \`command: sh\` with \`args: [-c, …]\` is one`,
      command.source,
    );
    return;
  }
  draft.warn("command", `the text is read as a program and ${split.words.length - 1} arguments`, command.source);
  const words = listOf(split.words, command);
  if (words.kind === "list") take(words.items, command, draft);
}

function take([program, ...more]: readonly ConfigNode[], { source }: ConfigNode, draft: ServerDraft): void {
  if (program === undefined) draft.drop("command");
  else draft.replace("command", program);
  if (more.length === 0) return;
  const args = draft.get("args");
  draft.replace("args", { kind: "list", source, items: [...more, ...(args?.kind === "list" ? args.items : [])] });
}
