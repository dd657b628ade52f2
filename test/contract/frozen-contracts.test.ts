/** v1 is frozen (proto/frozen-v1.binpb): what clients were generated from and send goes on to work. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { repository } from "../support/source-files.ts";

let tree = "";

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), "atoll-frozen-"));
  for (const path of ["proto", "gen/proto", "buf.yaml"])
    cpSync(join(repository, path), join(tree, path), { recursive: true });
});

afterEach(() => rmSync(tree, { recursive: true, force: true }));

const sessionService = "session/v1/session_service.proto";

/** Changes the one place of a contract that is `before`. */
function change(path: string, before: string, after: string): void {
  const file = join(tree, "proto/atoll", path);
  const text = readFileSync(file, "utf8");
  expect(text.split(before), `${before} in ${path}`).toHaveLength(2);
  writeFileSync(file, text.replace(before, after));
}

/** What buf says of the contracts against the frozen ones; empty when they are compatible. */
function breaking(): string {
  const args = ["breaking", "proto", "--against", "proto/frozen-v1.binpb", "--exclude-imports"];
  const { status, stdout, stderr } = spawnSync(join(repository, "node_modules/.bin/buf"), args, {
    cwd: tree,
    encoding: "utf8",
  });
  expect([0, 100], stderr).toContain(status);
  return stdout;
}

it("takes the contracts as they are, and with a field and an RPC more", () => {
  expect(breaking()).toBe("");
  change(sessionService, "message GetRunRequest {", "message GetRunRequest {\n  string more = 90;");
  const more = "rpc GetMore(GetRunRequest) returns (GetRunResponse);\n  rpc GetRun(";
  change(sessionService, "rpc GetRun(", more);
  expect(breaking()).toBe("");
});

it.each([
  ["a field gets another number", "event/v1/event.proto", "uint64 first_seq = 1", "uint64 first_seq = 92", "first_seq"],
  ["a field gets another name", "event/v1/event.proto", "uint64 first_seq = 1", "uint64 start_seq = 1", "first_seq"],
  ["a field gets another type", "event/v1/event.proto", "uint64 first_seq = 1", "uint32 first_seq = 1", "first_seq"],
  ["an RPC is gone", sessionService, "rpc GetRun(", "rpc ReadRun(", "GetRun"],
  [
    "a reason is gone",
    "error/v1/error_reason.proto",
    "ERROR_REASON_LOG_DAMAGED = 49",
    "ERROR_REASON_LOG_BAD = 49",
    "49",
  ],
])("refuses contracts where %s", (_, path, before, after, named) => {
  change(path, before, after);
  expect(breaking()).toContain(named);
});
