/**
 * An MCP server over standard input and output that answers `tools/list` with the very JSON that it is given.
 *
 * `mcp-raw-server.ts --pages=FILE [--history=FILE]`: FILE holds a JSON list of texts, one a page; page n is answered to the
 * cursor `n` (the first to none), the last one again to every other cursor. A text stands for the `result`, or for the rest
 * of the message when it begins with a comma. The file is read for each request, so that a test can change the list; a call
 * of the tool `changed` tells the client to list again. Each start and each call is a line of the history, its numbers with
 * all their digits.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { parseExact } from "../../services/kernel/json/exact-json.ts";

const { values: flags } = parseArgs({ options: { pages: { type: "string" }, history: { type: "string" } } });

interface Request {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: { readonly cursor?: string; readonly name?: string; readonly arguments?: unknown };
}

function remember(tool: string, args: unknown): void {
  if (flags.history !== undefined) appendFileSync(flags.history, `${JSON.stringify({ tool, args })}\n`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function answer(id: number | string, result: string): void {
  const rest = result.startsWith(",") ? result : `,"result":${result}`;
  say(`{"jsonrpc":"2.0","id":${JSON.stringify(id)}${rest}}`);
}

remember("started", process.pid);
for await (const line of createInterface(process.stdin)) {
  const { id, method, params } = parseExact(line) as unknown as Request;
  if (id === undefined) continue;
  switch (method) {
    case "initialize":
      answer(
        id,
        '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"raw","version":"1"}}',
      );
      break;
    case "tools/list": {
      const pages = JSON.parse(readFileSync(flags.pages ?? "", "utf8")) as string[];
      answer(id, pages[Number(params?.cursor ?? 0)] ?? pages.at(-1) ?? "null");
      break;
    }
    case "tools/call":
      remember(params?.name ?? "", params?.arguments);
      if (params?.name === "changed")
        say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":null}');
      answer(id, JSON.stringify({ content: [{ type: "text", text: `called ${params?.name}` }] }));
      break;
    default:
      answer(id, "{}");
  }
}
