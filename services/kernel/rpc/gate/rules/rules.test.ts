/** What is told of broken rules is what protovalidate tells, over all that can be sent, and over rules that we do not have. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, createFileRegistry, type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { AdminService } from "../../../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { ContentBlockSchema } from "../../../../../gen/atoll/content/v1/content_block_pb.ts";
import { GatewayService } from "../../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { InstanceService } from "../../../../../gen/atoll/internal/v1/instance_service_pb.ts";
import { SessionService } from "../../../../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { createRandom } from "../../../../../test/chaos/random.ts";
import { repository } from "../../../../../test/support/source-files.ts";
import type { FieldProblem } from "../../../errors.ts";
import { anyMessage } from "./any-message.fixture.ts";
import { askProtovalidate } from "./ask-protovalidate.ts";
import { findBrokenRules } from "./message-rules.ts";
import { RuleNotKnown } from "./value-rules.ts";

const seed = 20_261_129;

const services = [AdminService, AgentService, GatewayService, InstanceService, SessionService, ToolRouterService];
const requests = [...new Set(services.flatMap(({ methods }) => methods.map(({ input }) => input)))];

function ours(schema: DescMessage, message: Message): readonly FieldProblem[] | undefined {
  try {
    return findBrokenRules(schema, message);
  } catch (error) {
    if (error instanceof RuleNotKnown) return undefined;
    throw error;
  }
}

/** Compares over random messages; tells how many were good, bad, and left to protovalidate. */
async function compare(schema: DescMessage, runs: number) {
  const counts = { good: 0, bad: 0, left: 0 };
  const told = new Set<string>();
  const random = createRandom(seed);
  for (let run = 0; run < runs; run++) {
    const message = anyMessage(schema, random);
    const found = ours(schema, message);
    if (found === undefined) counts.left++;
    else {
      expect(found, `message ${run} of seed ${seed}`).toEqual(await askProtovalidate(schema, message));
      counts[found.length === 0 ? "good" : "bad"]++;
      for (const { problem } of found) told.add(problem.replaceAll(/\d+|`.*`|\[.*\]/gs, "…"));
    }
  }
  return { counts, told };
}

describe("every request of the contracts", () => {
  const told = new Set<string>();

  it.each(requests.map((schema) => [schema.typeName, schema] as const))("%s", async (_, schema) => {
    const seen = await compare(schema, 150);
    for (const problem of seen.told) told.add(problem);
    expect(seen.counts.good + seen.counts.bad).toBeGreaterThan(seen.counts.left);
  });

  it("was wrong in each way that the contracts have", () => {
    expect([...told].sort()).toMatchInlineSnapshot(`
      [
        "does not match regex pattern …",
        "exactly one field is required in oneof",
        "must be at least … characters",
        "must be at most … bytes",
        "must be at most … characters",
        "must be greater than …",
        "must be in list …",
        "must be less than or equal to …",
        "must be … bytes",
        "must contain at least … item(s)",
        "must contain no more than … item(s)",
        "must not be in list …",
        "repeated value must contain unique items",
        "value is required",
        "value must be one of the defined enum values",
      ]
    `);
  });
});

/** Rules that the contracts do not have, beside some that they do. */
const others = `
edition = "2023";
package other.v1;
import "buf/validate/validate.proto";
import "google/protobuf/duration.proto";
option features.field_presence = IMPLICIT;
message Text {
  string both = 1 [(buf.validate.field).string = {min_len: 2, max_len: 3, not_in: ["abc"]}];
  string bytes = 2 [(buf.validate.field).string = {min_bytes: 2, max_bytes: 8}];
  string optional = 3 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 5}}];
  string never = 4 [(buf.validate.field) = {ignore: IGNORE_ALWAYS, string: {min_len: 5}}];
  string needed = 5 [(buf.validate.field) = {required: true, string: {max_len: 5}}];
  string set = 6 [features.field_presence = EXPLICIT, (buf.validate.field) = {required: true, string: {min_len: 1}}];
}
message OtherText {
  string prefix = 1 [features.field_presence = EXPLICIT, (buf.validate.field).string.prefix = "a"];
  string email = 2 [features.field_presence = EXPLICIT, (buf.validate.field).string.email = true];
}
message Range {
  uint32 both = 1 [(buf.validate.field).uint32 = {gte: 2, lte: 5}];
  int64 open = 2 [(buf.validate.field).int64 = {gt: 2, lt: 5}];
  int32 low = 3 [features.field_presence = EXPLICIT, (buf.validate.field).int32.gte = 3];
}
message OtherRange {
  uint64 outside = 1 [features.field_presence = EXPLICIT, (buf.validate.field).uint64 = {gt: 5, lt: 2}];
  uint32 same = 2 [features.field_presence = EXPLICIT, (buf.validate.field).uint32.const = 4];
  double real = 3 [features.field_presence = EXPLICIT, (buf.validate.field).double = {gte: 0.5, lte: 1}];
  sint32 signed = 4 [features.field_presence = EXPLICIT, (buf.validate.field).sint32.gte = 1];
}
message Many {
  repeated uint32 few = 1 [(buf.validate.field).repeated = {min_items: 1, max_items: 2, unique: true, items: {uint32: {lte: 2}}}];
  map<string, Range> named = 2 [(buf.validate.field).map = {min_pairs: 1, max_pairs: 2, keys: {string: {max_len: 3}}}];
  repeated Text texts = 3 [(buf.validate.field).required = true];
  Left left = 4;
}
message Left {
  repeated bytes parts = 1 [(buf.validate.field).repeated = {unique: true}];
  map<uint32, string> numbered = 2 [(buf.validate.field).map.values.string.max_len = 2];
  repeated string skipped = 3 [(buf.validate.field).repeated.items = {ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 2}}];
}
message Whole {
  option (buf.validate.message).cel = {id: "whole", message: "both or none", expression: "has(this.a) == has(this.b)"};
  Text a = 1;
  Range b = 2 [(buf.validate.field).required = true];
}
message Choice {
  oneof choice {
    option (buf.validate.oneof).required = true;
    string text = 1 [(buf.validate.field).string.min_len = 1];
    Range range = 2;
  }
  google.protobuf.Duration wait = 3 [(buf.validate.field).duration.gte.seconds = 1];
}
`;

function buildOthers() {
  const folder = mkdtempSync(join(tmpdir(), "atoll-rules-"));
  try {
    mkdirSync(join(folder, "other"));
    writeFileSync(join(folder, "other/rules.proto"), others);
    cpSync(join(repository, "gen/proto"), join(folder, "imports"), { recursive: true });
    writeFileSync(join(folder, "buf.yaml"), "version: v2\nmodules: [{path: other}, {path: imports}]\n");
    const buf = join(repository, "node_modules/.bin/buf");
    const { status, stderr } = spawnSync(buf, ["build", "other", "-o", "all.binpb"], { cwd: folder, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(join(folder, "all.binpb"))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("rules that no contract has", () => {
  const registry = buildOthers();
  const schemaOf = (name: string): DescMessage => registry.getMessage(`other.v1.${name}`) ?? expect.fail(`no ${name}`);

  it.each(["Text", "Range", "Many", "Choice"])("%s: told alike", async (name) => {
    const { counts } = await compare(schemaOf(name), 1_000);
    // Of the others hardly any has nothing wrong.
    if (name === "Range" || name === "Choice") expect(counts.good, JSON.stringify(counts)).toBeGreaterThan(0);
    expect(counts.bad, JSON.stringify(counts)).toBeGreaterThan(0);
  });

  it.each(["OtherText", "OtherRange", "Many", "Left", "Whole", "Choice"])("%s: left to protovalidate", async (name) => {
    const { counts } = await compare(schemaOf(name), 400);
    expect(counts.left, JSON.stringify(counts)).toBeGreaterThan(0);
  });

  it("are judged by protovalidate", async () => {
    const schema = schemaOf("OtherText");
    const message = create(schema, { prefix: "b", email: "no" } as never);
    expect(await askProtovalidate(schema, message)).toMatchObject([{ path: "prefix" }, { path: "email" }]);
  });
});

it("reaches a message that stands in one of its own type", () => {
  const inner = { block: { case: "text" as const, value: { text: "" } } };
  const result = { callId: "?", content: [inner, {}] };
  const block = create(ContentBlockSchema, { block: { case: "toolResult", value: result } });
  expect(findBrokenRules(ContentBlockSchema, block)).toEqual([
    { path: "tool_result.call_id", problem: expect.stringContaining("does not match") },
    { path: "tool_result.content[1].block", problem: "exactly one field is required in oneof" },
  ]);
});
