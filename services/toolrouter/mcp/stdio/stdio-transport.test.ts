import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { type Answer, usual } from "../../../../test/support/sloppy-mcp/script.ts";
import { connect, connectProgram, methodsOf, programOf } from "../connection.fixture.ts";
import type { McpCallEnd } from "../mcp-connection.ts";

const done = { kind: "answered", answer: { content: [{ kind: "text", text: "done" }] } };
const large = 17 * 1024 * 1024;
const tooLong = { kind: "unreadable", problem: "it is longer than 16777216 bytes" };

/** An answer of about `bytes` bytes, with its id in front or at the end. */
function answerOf(bytes: number, id: "first" | "last" | "before the version" | "nowhere"): Answer {
  const [open, close] = {
    first: ['{"jsonrpc":"2.0","id":$id,"result":', "}"],
    last: ['{"jsonrpc":"2.0","result":', ',"id":$id}'],
    "before the version": ['{"result":', ', "id" : $id , "jsonrpc" : "2.0" }'],
    nowhere: ['{"jsonrpc":"2.0","result":', "}"],
  }[id];
  return [
    { raw: `${open}{"structuredContent":{"id":1073741825},"content":[{"type":"text","text":"` },
    { fill: "x", bytes },
    { raw: `"}]}${close}\n` },
  ];
}

/** The answer "done" to the n-th call of a connection, counted from 0. */
function doneFor(nth: number): Answer {
  return [{ send: { jsonrpc: "2.0", id: 2 ** 30 + nth, result: { content: [{ type: "text", text: "done" }] } } }];
}

const patient = { timeout: 120_000 };

describe(`an answer over the bound of a message ${verifies("FA8", "F1", "F3")}`, () => {
  it.each(["first", "last", "before the version"] as const)(
    "whose id stands %s costs its own call alone",
    patient,
    async (id) => {
      const { call, requests } = await connectProgram({
        "tools/call long": [[{ hang: true }]],
        "tools/call large": [[...answerOf(large, id), ...doneFor(0), ...doneFor(1)]],
      });
      const others = [call({ name: "long" }), call({ name: "long" })];
      expect(await call({ name: "large" })).toEqual(tooLong);
      for (const other of others) expect(await other).toMatchObject(done);
      expect(await call()).toMatchObject(done);
      expect(new Set(requests().map(({ pid }) => pid)).size).toBe(1);
    },
  );

  it("whose id stands nowhere costs the only call in flight, and none of several", patient, async () => {
    const alone = await connectProgram({ "tools/call": [answerOf(large, "nowhere"), usual] });
    expect(await alone.call()).toEqual(tooLong);
    expect(await alone.call()).toMatchObject(done);
    const several = await connectProgram({
      "tools/call long": [[{ hang: true }]],
      "tools/call large": [[...answerOf(large, "nowhere"), ...doneFor(0)]],
    });
    const long = several.call({ name: "long" });
    expect(await several.call({ name: "large", silenceTimeoutMs: 2000 })).toMatchObject({ kind: "timed-out" });
    expect(await long).toMatchObject(done);
  });

  it("arrives when it is shorter", patient, async () => {
    const { call } = await connectProgram({
      "tools/call": [answerOf(5_000_000, "first"), answerOf(15_000_000, "last")],
    });
    for (const bytes of [5_000_000, 15_000_000]) {
      const end = await call();
      expect(end.kind).toBe("answered");
      expect(textOf(end)).toHaveLength(bytes);
    }
  });

  it("is never held in memory, however long it is", patient, async () => {
    const { call } = await connectProgram({ "tools/call": [answerOf(200 * 1024 * 1024, "last"), usual] });
    globalThis.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 5);
    expect(await call({ silenceTimeoutMs: 100_000, maxDurationMs: 100_000 })).toEqual(tooLong);
    clearInterval(watch);
    // The bound, joined once, and chunks that were not collected yet.
    expect(most).toBeLessThan(120 * 1024 * 1024);
    expect(await call()).toMatchObject(done);
  });

  it("that is a notification or a line of a log costs nothing", patient, async () => {
    const notification: Answer = [
      { raw: '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' },
      { fill: "x", bytes: large },
      { raw: '"}}\n' },
    ];
    const log: Answer = [{ fill: "log ", bytes: large }, { raw: "\n" }];
    const { call } = await connectProgram({ "tools/call": [[...notification, ...log, { usual: true }]] });
    expect(await call()).toMatchObject(done);
  });
});

describe(`how a call of a program ended ${verifies("F3", "F1")}`, () => {
  it.each<[string, Answer, object]>([
    [
      "no JSON",
      [{ raw: '{"jsonrpc":"2.0","id":$id,"result":{"content":[NaN]}}\n' }],
      { kind: "unreadable", problem: "it is not JSON" },
    ],
    [
      "JSON that breaks off, the id last",
      [{ raw: '{"jsonrpc":"2.0","result":{"a":"\\q"},"id":$id}\n' }],
      { kind: "unreadable" },
    ],
    ["no version", [{ raw: '{"id":$id,"result":{"content":[]}}\n' }], { kind: "unreadable" }],
    ["a result that is a list", [{ result: [] }], { kind: "unreadable" }],
    ["a result that is a number", [{ result: 7 }], { kind: "unreadable" }],
    ["neither result nor error", [{ send: { jsonrpc: "2.0", id: "$id" } }], { kind: "unreadable" }],
    [
      "both",
      [{ send: { jsonrpc: "2.0", id: "$id", result: {}, error: { code: 1, message: "x" } } }],
      { kind: "unreadable" },
    ],
    ["a result without an id", [{ send: { jsonrpc: "2.0", result: { content: [] } } }], { kind: "unreadable" }],
    [
      "an error that is null beside the result",
      [{ send: { jsonrpc: "2.0", id: "$id", error: null, result: { content: [] } } }],
      { kind: "answered" },
    ],
    [
      "its id as a text",
      [{ raw: '{"jsonrpc":"2.0","id":"$id","result":{"content":[]}}\n'.replace('"$id"', '"1073741824"') }],
      { kind: "answered" },
    ],
    [
      "members that nobody knows",
      [{ send: { jsonrpc: "2.0", id: "$id", result: { content: [] }, took: 3 } }],
      { kind: "answered" },
    ],
    ["a batch", [{ send: [{ jsonrpc: "2.0", id: "$id", result: { content: [] } }] }], { kind: "answered" }],
    [
      "a line that ends with CR LF",
      [{ raw: '{"jsonrpc":"2.0","id":$id,"result":{"content":[]}}\r\n' }],
      { kind: "answered" },
    ],
    [
      "prints in front of it",
      [{ raw: "Processing...\n\n[INFO] 12\n7\nnull\n" }, { usual: true }],
      { kind: "answered" },
    ],
    [
      "an error",
      [{ error: { code: -32602, message: "no such row" } }],
      { kind: "rejected", problem: "MCP error -32602: no such row" },
    ],
    ["an error that is a text", [{ error: "no such row" }], { kind: "rejected", problem: "MCP error 0: no such row" }],
    [
      "an error without a code",
      [{ error: { message: "no such row" } }],
      { kind: "rejected", problem: "MCP error 0: no such row" },
    ],
    [
      "an error without an id",
      [{ send: { jsonrpc: "2.0", id: null, error: { code: -32700, message: "parse error" } } }],
      { kind: "rejected", problem: "MCP error -32700: parse error" },
    ],
  ])("that is answered with %s is known, and the server lives on", async (_case, answer, end) => {
    const { call, requests } = await connectProgram({ "tools/call": [answer, usual] });
    expect(await call()).toMatchObject(end);
    expect(await call()).toMatchObject(done);
    expect(methodsOf(requests()).filter((method) => method === "initialize")).toHaveLength(1);
  });

  it("whose program exits is lost, one behind it not sent", async () => {
    const { call, connection } = await connectProgram({ "tools/call": [[{ exit: 3 }]] });
    expect(await call()).toEqual({ kind: "lost", problem: "exited with code 3" });
    expect(await call()).toEqual({ kind: "not-sent", problem: "exited with code 3" });
    expect(await connection.closed).toEqual({ kind: "ended", problem: "exited with code 3" });
  });

  it("that waited to be written to a program that reads no more was not sent", async () => {
    const { call, connection } = await connectProgram({ "tools/call": [[{ stopReading: true }]] });
    const text = "x".repeat(1024 * 1024);
    const ends = Array.from({ length: 8 }, () => call({ text }));
    await expect.poll(() => ends.length).toBe(8);
    await connection.close();
    const kinds = (await Promise.all(ends)).map(({ kind }) => kind);
    // What was written, and what was being written, is lost; nothing behind it ever left.
    expect(kinds[0]).toBe("lost");
    expect(kinds.slice(2)).toEqual(Array.from({ length: 6 }, () => "not-sent"));
  });
});

describe(`a program that does not start ${verifies("FS3")}`, () => {
  const trace = "Error: Cannot find module '/srv/x.js'\n    at resolve (node:internal)\n\nNode.js v24.21.0\n";

  it.each<[string, Answer, string]>([
    ["a stack trace", [{ stderr: trace }, { exit: 1 }], "exited with code 1: Error: Cannot find module '/srv/x.js'"],
    [
      "the same on its output",
      [{ raw: trace }, { exit: 1 }],
      "exited with code 1: Error: Cannot find module '/srv/x.js'",
    ],
    ["nothing", [{ exit: 7 }], "exited with code 7"],
    ["a usage text", [{ stderr: "usage: x --root ROOT\n" }, { exit: 64 }], "exited with code 64: usage: x --root ROOT"],
    [
      "a long log",
      [{ stderr: `${"loading\n".repeat(5000)}fatal: no licence\nbye\n` }, { exit: 1 }],
      "exited with code 1: fatal: no licence | bye",
    ],
  ])("is told of with the lines that say why: %s", async (_case, start, problem) => {
    const { target } = programOf({ start: [start] });
    await expect(connect(target)).rejects.toThrow(problem);
  });

  it("and does not end is told of with what it wrote", async () => {
    const { target } = programOf({
      initialize: [[{ stderr: "error: waiting for a login at https://login.example\n" }, { hang: true }]],
    });
    const failure = connect(target, undefined, 3000);
    await expect(failure).rejects.toThrow(
      "it did not answer within 3000 ms; it wrote: error: waiting for a login at https://login.example",
    );
  });
});

function textOf(end: McpCallEnd): string {
  const [block] = end.kind === "answered" ? end.answer.content : [];
  return block?.kind === "text" ? block.text : "";
}
