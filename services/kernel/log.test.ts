import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLog, type LogFormat, type LogLevel } from "./log.ts";

function capture(format: LogFormat, level: LogLevel = "trace") {
  const lines: string[] = [];
  const log = createLog({ level, format, destination: { write: (line) => void lines.push(line) } });
  const entry = (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? "");
  return { log, lines, entry };
}

describe("createLog", () => {
  it("writes one JSON object a line, with level, time, message and the fields of its parents", () => {
    const { log, lines, entry } = capture("json");
    log.child({ traceId: "t1" }).child({ service: "session" }).warn({ runs: 3, big: 5n }, "100% %s done");
    expect(lines).toHaveLength(1);
    expect(entry()).toMatchObject({
      level: "warn",
      traceId: "t1",
      service: "session",
      runs: 3,
      big: "5",
      msg: "100% %s done",
    });
    expect(Date.parse(String(entry().time))).toBeGreaterThan(0);
  });

  it("writes nothing below its level, and nothing at all when silent", () => {
    const { log, lines } = capture("json", "warn");
    log.info({}, "no");
    log.warn({}, "yes");
    const silent = capture("json", "silent");
    silent.log.error({}, "no");
    expect(lines).toHaveLength(1);
    expect(silent.lines).toHaveLength(0);
  });

  it("redacts secrets by name at any level, and leaves counts of tokens alone", () => {
    const { log, lines, entry } = capture("json");
    const headers = { Authorization: "Bearer s3cret", "x-api-key": "s3cret", accept: "text/html" };
    log.info({ headers, apiKey: "s3cret", api_key: "s3cret", token: "s3cret", maxOutputTokens: 5 }, "request");
    log.child({ password: "s3cret" }).info({}, "child");
    expect(lines.join("")).not.toContain("s3cret");
    expect(lines[0]).toContain('"accept":"text/html"');
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ maxOutputTokens: 5 });
    expect(entry().password).toBe("[redacted]");
  });

  it("cuts a field over 1 KiB and says how much is missing, without splitting a character", () => {
    const { log, entry } = capture("json");
    log.info({ text: "é".repeat(2000), items: Array.from({ length: 500 }, (_, index) => index) }, "m".repeat(5000));
    expect(entry().text).toBe(`${"é".repeat(512)}…[2976 bytes cut]`);
    expect(entry().items).toHaveLength(65);
    expect(entry().msg).toMatch(/…\[3976 bytes cut\]$/);
  });

  it("describes an error with its code, cause and first frames", () => {
    const { log, entry } = capture("json");
    const cause = Object.assign(new Error("disk"), { code: "EIO" });
    log.error({ error: new TypeError("outer", { cause }) }, "failed");
    expect(entry().error).toMatchObject({
      name: "TypeError",
      message: "outer",
      cause: { name: "Error", message: "disk", code: "EIO" },
      stack: expect.arrayContaining([expect.stringContaining("log.test.ts")]),
    });
  });

  it("survives circular, throwing and unusual values", () => {
    const { log, entry } = capture("json");
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const throwing = {
      get value(): never {
        throw new Error("no");
      },
    };
    log.info({ circle, throwing, bytes: new Uint8Array(3), nan: Number.NaN, map: new Map([["a", 1]]) }, "odd");
    expect(entry()).toMatchObject({ throwing: "[unreadable]", bytes: "[3 bytes]", nan: "NaN", map: { a: 1 } });
  });

  it("does not let a field pretend to be the level, the time or the message", () => {
    const { log, lines } = capture("json");
    log.info({ level: "fatal", msg: "forged", time: 0 }, "real");
    expect(lines[0]?.match(/"level":/g)).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", level_: "fatal", msg: "real", msg_: "forged" });
  });

  it.each(["json", "pretty"] as const)(
    "keeps any text on one line and without raw control characters (%s)",
    (format) => {
      const nasty = fc.string({ unit: "binary", maxLength: 60 });
      fc.assert(
        fc.property(nasty, nasty, nasty, (message, key, value) => {
          const { log, lines } = capture(format);
          log.info({ [key]: value, nested: { list: [value] }, error: new Error(value) }, message);
          expect(lines).toHaveLength(1);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
          expect(lines[0]?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
          expect(lines[0]?.at(-1)).toBe("\n");
        }),
        { numRuns: 200 },
      );
    },
  );

  it("reads well on a terminal", () => {
    const { log, lines } = capture("pretty");
    log.info({ port: 18789 }, "listening");
    expect(lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: listening \{"port":18789\}\n$/);
  });

  it("escapes what it can't show, in JSON without changing the value", () => {
    const { log, entry, lines } = capture("json");
    log.info({ text: "a\u009b31m\u202eb\n" }, "x");
    expect(lines[0]).toContain("\\u009b31m\\u202eb\\n");
    expect(entry().text).toBe("a\u009b31m\u202eb\n");
  });
});
