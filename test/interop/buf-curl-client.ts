/** `buf curl` as a client. It has no schema: it learns everything from the mesh's reflection. */
import { resolve } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { type ClientProgram, startProgram } from "./client-program.ts";
import { type CreateClient, RefusedError } from "./interop-client.ts";
import { readRefusal } from "./refusal-details.ts";

export type BufProtocol = "connect" | "grpc" | "grpcweb";

export interface BufCurlOptions {
  readonly protocol: BufProtocol;
  readonly http: "1.1" | "2";
}

const buf = resolve(import.meta.dirname, "../../node_modules/.bin/buf");
/** What it leaves with when an RPC failed is the status code, shifted by three bits. */
const firstRpcExitCode = 8;

export function bufCurl({ protocol, http }: BufCurlOptions): CreateClient {
  return (mesh, token = mesh.token) => {
    const start = (method: string): ClientProgram =>
      startProgram(buf, [
        ...["curl", "--protocol", protocol, "--data", "@-"],
        ...(token === "" ? [] : ["--header", `authorization: Bearer ${token}`]),
        ...(http === "2" ? ["--http2-prior-knowledge"] : []),
        `${mesh.url}/atoll.gateway.v1.GatewayService/${method}`,
      ]);
    const call = async (method: string, request: JsonObject): Promise<readonly JsonObject[]> => {
      const program = start(method);
      program.write(JSON.stringify(request));
      program.end();
      return Array.fromAsync(readResponses(program));
    };
    return {
      name: `buf curl ${protocol} h${http}`,
      async sendMessage(request) {
        const [response] = await call("SendMessage", request);
        if (response === undefined) throw new Error("no response");
        return response;
      },
      subscribe: (request) => call("Subscribe", request),
      // For a bidi method it takes HTTP/2 by itself.
      chat: () => {
        const program = start("Chat");
        return {
          write: (request) => program.write(`${JSON.stringify(request)}\n`),
          end: program.end,
          responses: readResponses(program),
        };
      },
    };
  };
}

/** It prints every message indented; an object ends with a brace at the beginning of a line. */
async function* readResponses({ lines, ended }: ClientProgram): AsyncGenerator<JsonObject> {
  let text = "";
  for await (const line of lines) {
    text += line;
    if (line !== "}" && line !== "{}") continue;
    yield JSON.parse(text) as JsonObject;
    text = "";
  }
  const { code, errors } = await ended;
  if (code === 0) return;
  if (typeof code !== "number" || code < firstRpcExitCode) throw new Error(`buf curl ended with ${code}\n${errors}`);
  const error = JSON.parse(errors) as { code: string; message: string; details?: { type: string; value: string }[] };
  const details = (error.details ?? []).map(({ type, value }) => ({ type, value: base64Decode(value) }));
  throw new RefusedError(readRefusal(error.code, details), error.message);
}
