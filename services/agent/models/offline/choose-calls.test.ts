import { describe, expect, it } from "vitest";
import { tool } from "../collect-parts.fixture.ts";
import { chooseCalls } from "./choose-calls.ts";

const text = { type: "string" };
const path = { path: text };
const tools = [
  tool("filesystem.read_file", path, ["path"], "Read a file. Deprecated."),
  tool("filesystem.read_text_file", { ...path, head: { type: "number" } }, ["path"], "Read the contents of a file"),
  tool("filesystem.read_multiple_files", { paths: { type: "array", items: text } }, ["paths"], "Read several files"),
  tool("filesystem.list_directory", path, ["path"], "List files and directories in a path"),
  tool("filesystem.list_directory_with_sizes", path, ["path"], "List files with sizes"),
  tool("filesystem.write_file", { ...path, content: text }, ["path", "content"], "Create or overwrite a file"),
  tool("filesystem.move_file", { source: text, destination: text }, ["source", "destination"], "Move or rename files"),
  tool("everything.echo", { message: text }, ["message"], "Echoes back the input string"),
  tool("everything.get-sum", { a: { type: "number" }, b: { type: "number" } }, ["a", "b"], "Adds two numbers, the sum"),
  tool("web.fetch", { url: text }, ["url"], "Fetches a page from the web"),
  tool(
    "weather.forecast",
    { city: text, unit: { enum: ["celsius", "kelvin"] } },
    ["city", "unit"],
    "Weather of a city",
  ),
  tool("clock.now", {}, [], "The current time"),
];
const read = (file: string) => ["filesystem.read_text_file", { path: file }];
const list = (folder: string) => ["filesystem.list_directory", { path: folder }];

describe("chooseCalls", () => {
  it.each<[string, unknown[]]>([
    ["which files are in the workspace, and what does notes.md say?", [list("."), read("notes.md")]],
    ["Which files are in the workspace?", [list(".")]],
    ["list the files in the docs folder", [list("docs")]],
    ["ls", [list(".")]],
    ["What does docs/plan.txt say", [read("docs/plan.txt")]],
    ["read a.md and b.md", [read("a.md"), read("b.md")]],
    ['write "hello you" to hello.txt', [["filesystem.write_file", { path: "hello.txt", content: "hello you" }]]],
    ["use filesystem.read_file on notes.md", [["filesystem.read_file", { path: "notes.md" }]]],
    ['everything.echo {"message": "hi"}', [["everything.echo", { message: "hi" }]]],
    ["call the echo tool with good morning", [["everything.echo", { message: "good morning" }]]],
    ["move_file source=a.txt destination=b.txt", [["filesystem.move_file", { source: "a.txt", destination: "b.txt" }]]],
    ["call get-sum with 2 and 40", [["everything.get-sum", { a: 2, b: 40 }]]],
    ['please echo "one"', [["everything.echo", { message: "one" }]]],
    ["fetch https://example.com/a.html.", [["web.fetch", { url: "https://example.com/a.html" }]]],
    ['the forecast for "Bern" in kelvin', [["weather.forecast", { city: "Bern", unit: "kelvin" }]]],
    ["use clock.now", [["clock.now", {}]]],
  ])("%s", (sentence, calls) => {
    const expected = calls.map((each) => ({ tool: (each as unknown[])[0], arguments: (each as unknown[])[1] }));
    expect(chooseCalls(sentence, tools)).toEqual({ kind: "calls", calls: expected });
  });

  it("says what it lacks", () => {
    expect(chooseCalls("fetch that page", tools)).toEqual({ kind: "lacking", tool: "web.fetch", missing: ["url"] });
  });

  it("says that nothing listed can do it", () => {
    expect(chooseCalls("which files are in the workspace?", [])).toEqual({ kind: "no-tool", wanted: "list files" });
  });

  it.each(["why is the sky blue?", "thank you", "I read a book about the web", ""])("leaves %j alone", (sentence) => {
    expect(chooseCalls(sentence, tools)).toEqual({ kind: "nothing" });
  });
});
