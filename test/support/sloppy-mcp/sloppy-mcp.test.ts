import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Script, usual } from "./script.ts";
import { sloppyProgram } from "./sloppy-program.ts";
import { startSloppyHttp } from "./start-sloppy-http.ts";

const call = (id: number, name = "work") =>
  `${JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, _meta: { progressToken: 7 } } })}\n`;

function run(script: Script) {
  const { command, args, requests } = sloppyProgram(script);
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return { child, requests, nextLine: async () => (await lines.next()).value as string | undefined };
}

describe("a sloppy program", () => {
  it("answers as its script says, each request in turn, and well what is not in it", async () => {
    const { child, requests, nextLine } = run({
      "tools/call": [[{ raw: "{$id $token\n" }], [{ send: { id: "$id" } }, { error: { code: 1 } }]],
      "tools/call other": [[{ fill: "xy", bytes: 5 }, { raw: "\n" }]],
    });
    child.stdin.write(call(1));
    expect(await nextLine()).toBe("{1 7");
    for (const id of [2, 3]) {
      child.stdin.write(call(id));
      expect(await nextLine()).toBe(`{"id":${id}}`);
      expect(await nextLine()).toBe(`{"jsonrpc":"2.0","id":${id},"error":{"code":1}}`);
    }
    child.stdin.write(call(4, "other"));
    expect(await nextLine()).toBe("xyxyx");
    child.stdin.write('{"jsonrpc":"2.0","id":5,"method":"ping"}\n');
    expect(await nextLine()).toBe('{"jsonrpc":"2.0","id":5,"result":{}}');
    expect(requests().map(({ method, id }) => [method, id])).toEqual([
      ...[1, 2, 3, 4].map((id) => ["tools/call", id]),
      ["ping", 5],
    ]);
  });

  it("floods, at a pace or as fast as it is read, counts, and exits", async () => {
    const { child, nextLine } = run({
      start: [[{ flood: "$n\n", perSecond: 100, seconds: 0.2 }, { stderr: "over\n" }, { exit: 3 }]],
    });
    const exited = new Promise((resolve) => void child.once("exit", resolve));
    expect(await nextLine()).toBe("0");
    expect(await nextLine()).toBe("1");
    expect(await exited).toBe(3);
  });
});

describe("a sloppy HTTP server", () => {
  const post = (url: string, body: string) => fetch(url, { method: "POST", body });

  it("answers with status, headers, bodies and streams of its script", async () => {
    const { url, requests } = await startSloppyHttp({
      "tools/call": [
        [{ status: 400, headers: { "x-a": "b" } }, { raw: "no session" }],
        usual,
        [{ stream: true }, ...usual],
      ],
      GET: [[{ status: 200, headers: { "content-type": "text/html" } }, { raw: "hello" }]],
    });
    const refused = await post(url, call(1));
    expect([refused.status, refused.headers.get("x-a"), await refused.text()]).toEqual([400, "b", "no session"]);
    expect(await (await post(url, call(2))).json()).toMatchObject({ id: 2, result: { content: [{ text: "done" }] } });
    const streamed = await post(url, call(3));
    expect(streamed.headers.get("content-type")).toBe("text/event-stream");
    expect(await streamed.text()).toMatch(/^data: \{"jsonrpc":"2.0","id":3,"result":.*\}\n\n$/);
    expect(await (await fetch(url)).text()).toBe("hello");
    expect((await post(url, '{"jsonrpc":"2.0","method":"notifications/initialized"}')).status).toBe(202);
    expect(requests.map(({ method }) => method)).toEqual([
      ...["tools/call", "tools/call", "tools/call"],
      ...["GET", "notifications/initialized"],
    ]);
  });

  it("cuts connections and leaves answers open", async () => {
    const { url, connections } = await startSloppyHttp({
      "tools/call": [[{ raw: "{" }, { cut: true }], [{ hang: true }]],
    });
    await expect(post(url, call(1)).then((response) => response.text())).rejects.toThrow();
    const leave = new AbortController();
    const hung = fetch(url, { method: "POST", body: call(2), signal: leave.signal });
    await expect.poll(connections).toBe(1);
    leave.abort();
    await expect(hung).rejects.toThrow();
    await expect.poll(connections).toBe(0);
  });
});
