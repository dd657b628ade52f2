/** A worker thread that compiles schemas and checks arguments, one at a time. Whoever started it ends it when it is late. */
import { parentPort } from "node:worker_threads";
import type { JsonObject } from "@bufbuild/protobuf";
import type { CheckAnswer, CheckRequest } from "./check-messages.ts";
import { type CompiledSchema, compileSchema } from "./compile-schema.ts";

const maxCompiled = 50;
const compiled = new Map<string, CompiledSchema>();

function compileOnce({ hash, schema }: CheckRequest): CompiledSchema {
  const found = compiled.get(hash) ?? compileSchema(JSON.parse(schema) as JsonObject);
  compiled.delete(hash);
  const oldest = compiled.keys().next();
  if (compiled.size >= maxCompiled && !oldest.done) compiled.delete(oldest.value);
  compiled.set(hash, found);
  return found;
}

function say(answer: CheckAnswer): void {
  parentPort?.postMessage(answer);
}

parentPort?.on("message", (request: CheckRequest) => {
  const found = compileOnce(request);
  say({ kind: "compiled" });
  const check =
    found.kind === "usable"
      ? found.check(JSON.parse(request.args) as JsonObject)
      : ({ kind: "broken-schema", problem: found.problem } as const);
  say({ kind: "checked", check });
});
say({ kind: "ready" });
