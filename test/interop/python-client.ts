/** The Python gRPC client (python_client.py) as a client of the interop tests. */
import { resolve } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { type ClientProgram, startProgram } from "./client-program.ts";
import { type CreateClient, type Refusal, RefusedError } from "./interop-client.ts";
import { python } from "./python-stubs.ts";

const program = resolve(import.meta.dirname, "python_client.py");

/** `stubs` is the folder that generatePythonStubs filled. */
export function pythonClient(stubs: string): CreateClient {
  return (mesh, token = mesh.token) => {
    const env = { ATOLL_ADDRESS: new URL(mesh.url).host, ATOLL_TOKEN: token, PYTHONPATH: stubs };
    const start = (method: string): ClientProgram => startProgram(python, [program, method], { env });
    const call = async (method: string, request: JsonObject): Promise<readonly JsonObject[]> => {
      const client = start(method);
      client.write(`${JSON.stringify(request)}\n`);
      client.end();
      return Array.fromAsync(readResponses(client));
    };
    return {
      name: "python3-grpcio grpc binary h2",
      async sendMessage(request) {
        const [response] = await call("SendMessage", request);
        if (response === undefined) throw new Error("no response");
        return response;
      },
      subscribe: (request) => call("Subscribe", request),
      chat: () => {
        const client = start("Chat");
        return {
          write: (request) => client.write(`${JSON.stringify(request)}\n`),
          end: client.end,
          responses: readResponses(client),
        };
      },
    };
  };
}

async function* readResponses({ lines, ended }: ClientProgram): AsyncGenerator<JsonObject> {
  for await (const line of lines) {
    const response = JSON.parse(line) as JsonObject | { readonly refused: Refusal & { readonly message: string } };
    if (isRefused(response)) throw new RefusedError(response.refused, response.refused.message);
    yield response;
  }
  const { code, errors } = await ended;
  if (code !== 0) throw new Error(`the Python client ended with ${code}\n${errors}`);
}

function isRefused(
  response: JsonObject | { readonly refused: Refusal & { readonly message: string } },
): response is { readonly refused: Refusal & { readonly message: string } } {
  return "refused" in response;
}
