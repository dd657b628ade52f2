/**
 * The port through which the tool router sees an MCP server; nothing outside this folder knows the SDK (L8).
 *
 * Contract: `callTool` never rejects, how it ended is a value; `listTools` and `connectMcp` reject with an Error whose
 * message is the problem, for people; after `closed` resolved every call in flight has ended.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** How a server is reached. */
export type McpTarget =
  | {
      readonly kind: "stdio";
      readonly command: string;
      readonly args: readonly string[];
      /** The whole environment of the child: nothing else is inherited. */
      readonly env: Readonly<Record<string, string>>;
      readonly cwd: string;
    }
  | { readonly kind: "http"; readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** A piece of a list of tools, as it comes. */
export type McpToolPage =
  /** Whatever the server wrote there. */
  | { readonly kind: "entries"; readonly entries: readonly unknown[] }
  /** The list ends here, and not as it should; `problem` is a sentence for people. */
  | { readonly kind: "problem"; readonly problem: string };

/** A piece of an answer. */
export type McpContent =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "image" | "audio"; readonly bytes: Uint8Array; readonly mediaType: string }
  | { readonly kind: "resource-text"; readonly uri: string; readonly text: string; readonly mediaType: string }
  | { readonly kind: "resource-bytes"; readonly uri: string; readonly bytes: Uint8Array; readonly mediaType: string }
  | {
      readonly kind: "resource-link";
      readonly uri: string;
      readonly name: string;
      readonly description: string;
      readonly mediaType: string;
    }
  /** A sentence in the place of a block that can't be read. */
  | { readonly kind: "note"; readonly text: string };

/** What a tool answered. */
export interface McpAnswer {
  readonly content: readonly McpContent[];
  /** An object, by the protocol; servers send anything. */
  readonly structured: JsonValue | undefined;
  /** Whether the tool says that it failed. */
  readonly isError: boolean;
}

/**
 * How a call ended. Only `lost`, `timed-out` and `cancelled` leave it open whether the call had its effect.
 * Every `problem` is a sentence part for people: "it answered HTTP 400: no such session".
 */
export type McpCallEnd =
  | { readonly kind: "answered"; readonly answer: McpAnswer }
  /** The server answered with a protocol error. */
  | { readonly kind: "rejected"; readonly problem: string }
  /** The server answered, so that the call is over, but with nothing that can be read: too long, no JSON, no JSON-RPC. */
  | { readonly kind: "unreadable"; readonly problem: string }
  /** The server got the call and turned it away before it did anything; it runs. The call had no effect. */
  | { readonly kind: "refused"; readonly problem: string }
  /** The server never got the call: it had no effect. */
  | { readonly kind: "not-sent"; readonly problem: string }
  /** The server may have got the call and nobody will ever say what came of it. */
  | { readonly kind: "lost"; readonly problem: string }
  /** It was silent for too long, or took too long in all; `problem` says which. */
  | { readonly kind: "timed-out"; readonly problem: string }
  | { readonly kind: "cancelled" };

export interface McpProgress {
  readonly progress: number;
  /** 0 when unknown. */
  readonly total: number;
  readonly message: string;
}

export interface McpCallOptions {
  /** Aborting it tells the server and ends the call as cancelled. */
  readonly signal: AbortSignal;
  /** Without a sign of life: progress, a log message, bytes of the call's own response. */
  readonly silenceTimeoutMs: number;
  /** In all, whatever the server says. */
  readonly maxDurationMs: number;
  readonly onProgress: (progress: McpProgress) => void;
}

/** Why a connection is over. */
export type McpClosed = { readonly kind: "closed" } | { readonly kind: "ended"; readonly problem: string };

export interface McpConnection {
  /** What the server says of itself; empty when it says nothing. */
  readonly title: string;
  readonly version: string;
  /** Throws when the server does not answer; one that answers wrongly is a problem at the end. */
  listTools(signal: AbortSignal): AsyncGenerator<McpToolPage>;
  callTool(name: string, args: JsonObject, options: McpCallOptions): Promise<McpCallEnd>;
  /** Resolves once: `closed` when we closed it, `ended` with the problem when it ended by itself. Never rejects. */
  readonly closed: Promise<McpClosed>;
  /** Ends the calls in flight as lost and, for a child process, its whole process group. Idempotent, at most 4 s. */
  close(): Promise<void>;
}
