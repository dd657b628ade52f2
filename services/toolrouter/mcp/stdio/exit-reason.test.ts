import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { manualClock } from "../../../kernel/manual-clock.fixture.ts";
import { findReason, RecentLines } from "./exit-reason.ts";

function reasonOf(output: string): string {
  return findReason(output.split("\n"));
}

describe(`the reason of an exit ${verifies("FS3")}`, () => {
  it.each<[string, string, string | RegExp]>([
    [
      "a Node program without its module",
      `node:internal/modules/cjs/loader:1386
  throw err;
  ^

Error: Cannot find module '/srv/mcp/dist/index.js'
    at Function._resolveFilename (node:internal/modules/cjs/loader:1383:15)
    at defaultResolveImpl (node:internal/modules/cjs/loader:1025:19)
    at node:internal/main/run_main_module:36:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v24.21.0`,
      "Error: Cannot find module '/srv/mcp/dist/index.js'",
    ],
    [
      "a Node program whose port is taken",
      `Starting server on port 3000
node:events:486
      throw er; // Unhandled 'error' event
      ^

Error: listen EADDRINUSE: address already in use :::3000
    at Server.setupListenHandle [as _listen2] (node:net:1940:16)
Emitted 'error' event on Server instance at:
    at emitErrorNT (node:net:1919:8) {
  code: 'EADDRINUSE',
  port: 3000
}

Node.js v24.21.0`,
      /^Error: listen EADDRINUSE: address already in use :::3000/,
    ],
    [
      "a Python traceback",
      `Traceback (most recent call last):
  File "/usr/lib/python3/runpy.py", line 198, in _run_module_as_main
    return _run_code(code, main_globals, None,
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/server.py", line 3, in <module>
    import mcp
ModuleNotFoundError: No module named 'mcp'`,
      "ModuleNotFoundError: No module named 'mcp'",
    ],
    [
      "a Python traceback behind another",
      `Traceback (most recent call last):
  File "/srv/server.py", line 3, in load
    return os.environ["API_KEY"]
KeyError: 'API_KEY'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/server.py", line 9, in <module>
    load()
RuntimeError: set API_KEY first`,
      "KeyError: 'API_KEY' | RuntimeError: set API_KEY first",
    ],
    [
      "npm",
      `npm error code E404
npm error 404 Not Found - GET https://packages.example/no-such-server - Not found
npm error 404
npm error 404  The requested resource 'no-such-server@*' could not be found
npm error A complete log of this run can be found in: /home/a/.npm/_logs/2026-11-28T10_00_00_000Z-debug-0.log`,
      /^npm error code E404 \| npm error 404 Not Found - GET .* \| npm error 404 {2}The requested resource 'no-such-server@\*' could not be found$/,
    ],
    [
      "a Rust panic",
      `thread 'main' panicked at src/main.rs:5:10:
called \`Result::unwrap()\` on an \`Err\` value: Os { code: 2, kind: NotFound, message: "No such file or directory" }
stack backtrace:
   0: rust_begin_unwind
   1: core::panicking::panic_fmt
note: run with \`RUST_BACKTRACE=1\` environment variable to display a backtrace`,
      /^thread 'main' panicked at src\/main\.rs:5:10: called .*"No such file or directory" \}$/,
    ],
    [
      "a Java stack trace",
      `Exception in thread "main" java.lang.IllegalStateException: can't start
\tat com.example.Server.start(Server.java:10)
\tat com.example.Server.main(Server.java:4)
Caused by: java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
\t... 8 more`,
      'Exception in thread "main" java.lang.IllegalStateException: can\'t start | Caused by: java.net.BindException: Address already in use',
    ],
    [
      "a Go panic",
      "panic: no token\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:4 +0x25\nexit status 2",
      /^panic: no token/,
    ],
    [
      "a usage text",
      "usage: server [-h] --root ROOT\nserver: error: the following arguments are required: --root",
      "server: error: the following arguments are required: --root | usage: server [-h] --root ROOT",
    ],
    [
      "a usage text alone",
      "Usage: mcp-server <folder> [more folders...]",
      "Usage: mcp-server <folder> [more folders...]",
    ],
    ["a shell", "sh: 1: uvx: not found", "sh: 1: uvx: not found"],
    ["colours", "\u001b[31mError:\u001b[39m \u001b[1mno key\u001b[22m", "Error: no key"],
    ["nothing that can be known", "starting\nlistening\nbye", "bye"],
    ["nothing", "\n  \n", ""],
    ["the same again and again", "error: no network\nretry\nerror: no network\nretry", "error: no network | retry"],
  ])("is found in what %s says", (_program, output, reason) => {
    if (typeof reason === "string") expect(reasonOf(output)).toBe(reason);
    else expect(reasonOf(output)).toMatch(reason);
  });

  it("has at most 5 lines and 1 KiB, and shows what is hidden", () => {
    const many = reasonOf(Array.from({ length: 50 }, (_, n) => `error: ${n}`).join("\n"));
    expect(many).toBe("error: 45 | error: 46 | error: 47 | error: 48 | error: 49");
    const long = reasonOf(Array.from({ length: 5 }, (_, n) => `error ${n}: ${"x".repeat(1000)}`).join("\n"));
    expect(long).toHaveLength(1024);
    expect(reasonOf("Error: \u202egnihton")).toBe("Error: \\u{202e}gnihton");
  });

  it("is not an error of long ago", () => {
    const clock = manualClock();
    const lines = new RecentLines(clock);
    lines.add("error: a request failed");
    clock.advance(60_000);
    lines.add(Buffer.from("Killed"));
    expect(lines.reason()).toBe("Killed");
  });
});
