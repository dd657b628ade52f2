/**
 * The whole offline model but its streaming: a conversation and the listed tools in, a script out. Deterministic.
 *
 * It says in each answer of its own that it is scripted, and how to get a real model.
 */
import type { ModelMessage, ModelTool } from "../model.ts";
import { type Choice, chooseCalls } from "./choose-calls.ts";
import { describeResults } from "./describe-results.ts";
import { type CommandedCall, readWish } from "./read-request.ts";
import { readTurn, type Turn } from "./read-turn.ts";
import { type Script, say } from "./script.ts";

const introduction =
  "I am Atoll's built-in scripted model: no language model is at work here. Set ANTHROPIC_API_KEY for a real one.";

const abilities = [
  "I can list and read files when a tool for it is listed, call any listed tool that you name, repeat after you and count.",
  'Commands: /call server.tool {"name": "value"} (further /call lines go along, a /then line comes after), /think, /long 200, /fail.',
].join(" ");

export interface ScriptRequest {
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly ModelTool[];
  /** Whether reasoning is wanted. */
  readonly thinking: boolean;
}

export function writeScript({ messages, tools, thinking }: ScriptRequest): Script {
  const turn = readTurn(messages);
  const script = answerTurn(turn, tools);
  if (!thinking || script.thinking !== "" || script.failure !== undefined) return script;
  return { ...script, thinking: think(turn, script) };
}

function answerTurn(turn: Turn, tools: readonly ModelTool[]): Script {
  const wish = readWish(turn.question);
  switch (wish.kind) {
    case "commands": {
      const next = wish.steps[turn.steps];
      return next === undefined ? report(turn) : commanded(next, tools);
    }
    case "bad-command":
      return say(`${introduction} ${wish.problem} ${abilities}`);
    case "think":
      return say(
        `${introduction} I have thought about ${wish.about || "nothing in particular"}, as far as a script can.`,
        {
          thinking: `The request is to think about: ${wish.about || "nothing in particular"}. I have no thoughts of my own. I will say so.`,
        },
      );
    case "long":
      return say(numbered("word", wish.words));
    case "fail":
      return say(wish.how === "midway" ? "This answer breaks off after these words, as you asked." : "", {
        failure: wish.how,
      });
    case "help":
      return say(`${introduction} ${abilities} ${listTools(tools)}`);
    case "greeting":
      return say(`Hello! ${introduction} Ask me which files are in the workspace, or write /help.`);
    case "repeat":
      return say(wish.text);
    case "count":
      return say(numbered("", wish.to));
    case "recall":
      return say(
        turn.earlier.length === 0
          ? "You have said nothing before this."
          : `Before this, you said: ${turn.earlier.map((words) => `“${words}”`).join(", then ")}.`,
      );
    case "other":
      return turn.steps > 0 ? report(turn) : answerOther(turn.question, tools);
  }
}

function commanded(calls: readonly CommandedCall[], tools: readonly ModelTool[]): Script {
  const unlisted = calls.find((call) => !tools.some((tool) => tool.name === call.tool));
  // It is called all the same: refusing is the router's part, and a person who tries it should see that.
  const text = unlisted === undefined ? "" : `${unlisted.tool} is not a tool that I was offered; I name it anyway.`;
  return say(text, { calls });
}

function report(turn: Turn): Script {
  if (turn.finished.length === 0) return say(`${introduction} The tools gave no answer that I could see.`);
  return say(`${describeResults(turn.finished)}\n\n(${introduction})`);
}

function answerOther(question: string, tools: readonly ModelTool[]): Script {
  const choice: Choice = chooseCalls(question, tools);
  switch (choice.kind) {
    case "calls":
      return say(`I will ask ${nameCalls(choice.calls)}.`, { calls: choice.calls });
    case "lacking":
      return say(
        `${introduction} ${choice.tool} fits, but I can't tell its ${choice.missing.join(" and ")} from your words. Write /call ${choice.tool} {${choice.missing.map((name) => `"${name}": …`).join(", ")}}.`,
      );
    case "no-tool":
      return say(`${introduction} No tool is listed that could ${choice.wanted}. ${listTools(tools)}`);
    case "nothing":
      return say(
        question === ""
          ? `${introduction} ${abilities}`
          : `${introduction} No listed tool fits “${question}”, and I can't think of an answer myself. ${abilities} ${listTools(tools)}`,
      );
  }
}

function nameCalls(calls: readonly CommandedCall[]): string {
  return [...new Set(calls.map((call) => call.tool))].join(" and ");
}

/** The most tools that are named in an answer. */
const mostToolsNamed = 40;

function listTools(tools: readonly ModelTool[]): string {
  if (tools.length === 0) return "No tools are listed.";
  const names = tools.map((tool) => tool.name).sort();
  const more = names.length > mostToolsNamed ? ` and ${names.length - mostToolsNamed} more` : "";
  return `Listed tools: ${names.slice(0, mostToolsNamed).join(", ")}${more}.`;
}

function think(turn: Turn, script: Script): string {
  if (script.calls.length > 0)
    return `The request needs ${nameCalls(script.calls)}. I will call it and read what comes back.`;
  if (turn.finished.length > 0) return "The tools have answered. I will put what they said into words.";
  return "No tool is needed for this. I will answer from my script.";
}

function numbered(prefix: string, count: number): string {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`).join(" ");
}
