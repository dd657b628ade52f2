/**
 * A real MCP server that writes down every call that reaches it, so that a test can count effects.
 *
 * `mcp-probe-server.ts --history=FILE [--http] [--list-delay-ms=N] [--greet-delay-ms=N]`: over standard input and output,
 * or with --http over Streamable HTTP on a free port of 127.0.0.1, whose URL it prints as its first line. A call is in
 * the history (a line of JSON, synced to disk) before the tool does anything.
 */
import { spawn } from "node:child_process";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { z } from "zod";

const { values: flags } = parseArgs({
  options: {
    history: { type: "string" },
    http: { type: "boolean", default: false },
    "greet-delay-ms": { type: "string", default: "0" },
  },
});

function remember(tool: string, args: unknown): void {
  if (flags.history === undefined) return;
  const file = openSync(flags.history, "a");
  writeSync(file, `${JSON.stringify({ tool, args, pid: process.pid })}\n`);
  fsyncSync(file);
  closeSync(file);
}

/** A picture of one pixel. */
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

function text(value: string) {
  return { content: [{ type: "text" as const, text: value }] };
}

function createProbe(): McpServer {
  const server = new McpServer({ name: "probe", title: "Atoll's probe", version: "1.2.3" });

  server.registerTool("echo", { description: "Says it again.", inputSchema: { text: z.string() } }, (args) => {
    remember("echo", args);
    return text(args.text);
  });
  server.registerTool(
    "slow",
    { inputSchema: { ms: z.number(), text: z.string().optional() } },
    async (args, { signal }) => {
      remember("slow", args);
      signal.addEventListener("abort", () => remember("slow cancelled", args));
      await sleep(args.ms);
      return text("done");
    },
  );
  server.registerTool("fail", {}, () => {
    remember("fail", {});
    return { ...text("it went wrong"), isError: true };
  });
  server.registerTool("crash", {}, () => {
    remember("crash", {});
    process.stderr.write("the probe was told to crash\n");
    process.exit(3);
  });
  server.registerTool("flood", { inputSchema: { bytes: z.number() } }, (args) => {
    remember("flood", args);
    // Two bytes a character, one character off: a cut at an even number of bytes falls inside one.
    return text(`x${"é".repeat(args.bytes / 2)}`);
  });
  server.registerTool("progress", { inputSchema: { steps: z.number() } }, async (args, extra) => {
    remember("progress", args);
    const progressToken = extra._meta?.progressToken;
    for (let progress = 1; progress <= args.steps; progress++) {
      if (progressToken !== undefined) {
        const params = { progressToken, progress, total: args.steps, message: `step ${progress}` };
        await extra.sendNotification({ method: "notifications/progress", params });
      }
      await sleep(20);
    }
    return text("all steps done");
  });
  server.registerTool("grow", {}, () => {
    remember("grow", {});
    server.registerTool("grown", {}, () => text("new"));
    return text("grown");
  });
  server.registerTool("environ", {}, () => {
    remember("environ", {});
    return text(JSON.stringify(process.env));
  });
  server.registerTool("grandchild", {}, () => {
    remember("grandchild", {});
    const { pid } = spawn("sleep", ["600"], { stdio: "ignore" });
    return text(String(pid));
  });
  server.registerTool(
    "add",
    { inputSchema: { a: z.number(), b: z.number() }, outputSchema: { sum: z.number() } },
    (args) => {
      remember("add", args);
      return { ...text(`${args.a + args.b}`), structuredContent: { sum: args.a + args.b } };
    },
  );
  server.registerTool("media", {}, () => {
    remember("media", {});
    const data = Buffer.from([1, 2, 3]).toString("base64");
    return {
      content: [
        { type: "image", data: onePixel, mimeType: "image/png" },
        { type: "audio", data, mimeType: "audio/wav" },
        { type: "resource", resource: { uri: "file:///a/note.md", mimeType: "text/markdown", text: "# Note" } },
        { type: "resource", resource: { uri: "file:///a/raw.bin", blob: data } },
        { type: "resource_link", uri: "file:///a/b.txt", name: "b.txt", mimeType: "text/plain" },
      ],
    };
  });
  server.registerTool("we\u202Eird\\", { description: "Hidden \u200Btext.\u0007" }, () => text("weird"));
  return server;
}

await sleep(Number(flags["greet-delay-ms"]));
if (flags.http) serveHttp();
else await createProbe().connect(new StdioServerTransport());

function serveHttp(): void {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const listener = createServer((request, response) => {
    remember("request", { method: request.method, headers: request.headers });
    if (request.url === "/elsewhere") {
      response.writeHead(307, { location: "/mcp" }).end();
      return;
    }
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (typeof id === "string" && known === undefined) {
      response.writeHead(404).end();
      return;
    }
    void (known ?? openSession()).handleRequest(request, response);
  });
  listener.listen(0, "127.0.0.1", () => {
    const { port } = listener.address() as AddressInfo;
    process.stdout.write(`http://127.0.0.1:${port}/mcp\n`);
  });

  function openSession(): StreamableHTTPServerTransport {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    // The SDK's class and interface differ under exactOptionalPropertyTypes.
    void createProbe().connect(transport as Transport);
    return transport;
  }
}
