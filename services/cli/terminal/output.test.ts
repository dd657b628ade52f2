import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { readSourceFiles } from "../../../test/support/source-files.ts";
import { openOutput } from "./shown-output.fixture.ts";

const hostile = "a\u001b[2Jb\r\nses_forged\u2028c\u202ed\u200be\u061cf\u009bg\u{e0041}h\ti";

/** Hidden characters that are not line feeds or tabs. */
function hiddenIn(text: string): string[] {
  return text.replace(/[\n\t]/g, "").match(/[\p{Cc}\u061c\u200b\u2028\u202e\u{e0041}]/gu) ?? [];
}

async function* chunks(...texts: string[]) {
  yield* texts;
}

describe("the door to the terminal", () => {
  it(`is the only one: no other file of the command line writes to standard output or error ${verifies("E15")}`, () => {
    const allowed: Readonly<Record<string, string>> = {
      "services/cli/run-command-line.ts": "hands the streams to the door, and ends with a reader that left",
      "services/cli/terminal/prompt-line.ts": "the line editor shows what the person types",
      "services/cli/starting/build-web-page.ts": "the build's own standard error",
    };
    const writers = readSourceFiles("services/cli")
      .filter(({ path }) => !/\.(test|fixture)\.ts$/.test(path) && !(path in allowed))
      .filter(({ text }) => /\bconsole\.|process\s*\.\s*(stdout|stderr|stdio)|\bstd(out|err)\b|writeSync\(/.test(text));
    expect(writers.map(({ path }) => path)).toEqual([]);
  });

  it(`gives a line that nothing in it leaves ${verifies("E15")}`, () => {
    const { output, out } = openOutput();
    output.line(hostile);
    output.line();
    expect(out()).toBe("a\\u001b[2Jb\n    ses_forged\\u2028c\\u202ed\\u200be\\u061cf\\u009bg\\udb40\\udc41h\ti\n\n");
  });

  it.each(["line", "text", "note", "aside"] as const)(`shows what is hidden, by %s ${verifies("E15")}`, (way) => {
    for (const isTerminal of [false, true]) {
      const { output, out, err } = openOutput({ isTerminal, isPlain: true });
      output[way](hostile);
      expect(hiddenIn(`${out()}${err()}`)).toEqual([]);
    }
  });

  it("shows what is hidden in failures and in what is piped", async () => {
    const { output, out, err } = openOutput();
    output.failure({ code: "not_found", reason: "X", message: hostile, fields: [{ path: hostile, problem: hostile }] });
    await output.pipe(chunks(`${hostile}\n`, "x\u202e"));
    expect(hiddenIn(`${out()}${err()}`)).toEqual([]);
    expect(
      err()
        .split("\n")
        .filter((line) => line.startsWith("atoll:")),
    ).toHaveLength(1);
  });

  it("says everything as JSON where JSON is wanted", () => {
    const { output, out, err } = openOutput({ isJson: true });
    output.json(JSON.stringify({ hostile }));
    output.note(hostile);
    output.aside("thinking");
    output.failure({ code: "not_found", reason: "TOOL_NOT_FOUND", message: "no\nsuch", isOwnWords: true });
    expect(JSON.parse(out())).toEqual({ hostile });
    expect(hiddenIn(out())).toEqual([]);
    expect(
      err()
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([{ note: hostile }, { error: { code: "not_found", reason: "TOOL_NOT_FOUND", message: "no\nsuch" } }]);
  });

  it("ends a text that is not at the end of its line before anything else is said", () => {
    const { output, out, err } = openOutput();
    output.text("half");
    output.note("aside");
    output.text(" and whole\n");
    output.line("end");
    expect(out()).toBe("half\n and whole\nend\n");
    expect(err()).toBe("aside\n");
  });

  it("keeps together what comes in pieces", () => {
    const { output, out } = openOutput();
    for (const piece of ["👩", "\u200d", "👧 ", "❤", "\ufe0f ", "می", "\u200cخواهم"]) output.text(piece);
    expect(out()).toBe("👩\u200d👧 ❤\ufe0f می\u200cخواهم");
  });
});
