/** What was asked and how it ended, in memory and, when asked for, in a file that survives the process. */
import { appendFileSync } from "node:fs";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Outcome } from "./answers/send-answer.ts";

export interface RecordedRequest {
  /** From 0. */
  readonly call: number;
  readonly requestId: string;
  readonly path: string;
  /** Without the key. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  /** 0 until there is one. */
  status: number;
  /** Undefined while it is under way. */
  outcome: Outcome | undefined;
}

export interface RequestHistory {
  begin(request: Omit<RecordedRequest, "status" | "outcome">): RecordedRequest;
  end(request: RecordedRequest, outcome: Outcome): void;
  all(): readonly RecordedRequest[];
}

/** `mostKept` requests stay in memory; older ones are forgotten (the file has them). */
export function createRequestHistory(file: string | undefined, mostKept = 1_000): RequestHistory {
  const kept: RecordedRequest[] = [];
  const append = (line: JsonValue): void => {
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
  };
  return {
    begin(request) {
      const recorded: RecordedRequest = { ...request, status: 0, outcome: undefined };
      kept.push(recorded);
      if (kept.length > mostKept) kept.shift();
      if (file !== undefined)
        append({ kind: "request", atMs: Date.now(), ...request, headers: { ...request.headers } });
      return recorded;
    },
    end(request, outcome) {
      if (request.outcome !== undefined) return;
      request.outcome = outcome;
      append({ kind: "outcome", atMs: Date.now(), requestId: request.requestId, status: request.status, outcome });
    },
    all: () => kept,
  };
}
