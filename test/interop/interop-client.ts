/**
 * What every client of the interop tests can do, whatever its language. Requests and responses are Protobuf JSON, so
 * that one conversation and one check serve all of them; what goes over the wire is the client's own affair.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import type { MeshProcess } from "../support/mesh-process.ts";

/** A refused call, as the client's own library reports it. */
export interface Refusal {
  /** The Connect name of the status code, for example `not_found`. */
  readonly code: string;
  /** From google.rpc.ErrorInfo; empty when there was none. */
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** From google.rpc.BadRequest. */
  readonly fieldPaths: readonly string[];
}

export class RefusedError extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, message: string) {
    super(message);
    this.refusal = refusal;
  }
}

export interface ChatStream {
  /** Says a ChatRequest. */
  readonly write: (request: JsonObject) => void;
  /** Half-closes: the client says no more. */
  readonly end: () => void;
  /** ChatResponse messages as they come. Ends with the stream; throws RefusedError when it was refused. */
  readonly responses: AsyncIterable<JsonObject>;
}

export interface InteropClient {
  readonly name: string;
  /** Unary. Throws RefusedError. */
  readonly sendMessage: (request: JsonObject) => Promise<JsonObject>;
  /** Server stream: every SubscribeResponse until the stream ends. Throws RefusedError. */
  readonly subscribe: (request: JsonObject) => Promise<readonly JsonObject[]>;
  /** Both ways. Undefined where the transport can't stream both ways (HTTP/1.1). */
  readonly chat: (() => ChatStream) | undefined;
}

/** Makes a client. Default token: the mesh's own. */
export type CreateClient = (mesh: MeshProcess, token?: string) => InteropClient;
