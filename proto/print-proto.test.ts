import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clone, createFileRegistry, type DescFile, fromBinary, toJson } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { describe, expect, test } from "vitest";
import { printProto } from "./print-proto.ts";

function compile(path: string, source: string): DescFile {
  const folder = mkdtempSync(join(tmpdir(), "atoll-print-"));
  try {
    writeFileSync(join(folder, path), source);
    const buf = join(import.meta.dirname, "../node_modules/.bin/buf");
    const built = spawnSync(buf, ["build", folder, "--as-file-descriptor-set", "--exclude-source-info", "-o", "-"]);
    if (built.status !== 0) throw new Error(built.stderr.toString());
    const file = createFileRegistry(fromBinary(FileDescriptorSetSchema, built.stdout)).getFile(path);
    if (!file) throw new Error(`${path} is not in what buf built`);
    return file;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The descriptor as JSON, without what has no meaning: the order of fields and the spelling of proto2. */
function normalise(file: FileDescriptorProto, name: string): unknown {
  const copy = clone(FileDescriptorProtoSchema, file);
  copy.name = name;
  if (copy.syntax === "") copy.syntax = "proto2";
  const sortFields = (message: DescriptorProto): void => {
    message.field.sort((a, b) => a.number - b.number);
    message.nestedType.forEach(sortFields);
  };
  copy.messageType.forEach(sortFields);
  const custom = copy.messageType.map((m) =>
    m.field.map((f) => f.options?.$unknown?.map((u) => Buffer.from(u.data).toString("base64")) ?? []),
  );
  return { custom, json: toJson(FileDescriptorProtoSchema, copy) };
}

const everything = `syntax = "proto3";
package sample;
import "google/protobuf/descriptor.proto";
message Tag { string name = 1; repeated int32 ranks = 2; }
extend google.protobuf.FieldOptions { Tag tag = 50001; }
message All {
  option deprecated = true;
  optional string maybe = 1 [deprecated = true, (sample.tag) = {name: "a \\"quoted\\" \\\\ word", ranks: [1, 2]}];
  map<string, Nested> by_name = 2;
  oneof choice { bytes raw = 3; Kind kind = 4; }
  repeated uint64 numbers = 5 [packed = false];
  reserved 7, 9 to 11;
  reserved "gone";
  message Nested { sfixed32 value = 1; }
  enum Kind { KIND_UNSPECIFIED = 0; KIND_OTHER = -2; reserved 5 to 6; reserved "KIND_OLD"; }
}
`;

const legacy = `syntax = "proto2";
package sample;
message Legacy {
  required string name = 1 [default = "x\\"y"];
  optional bool on = 2 [default = true];
  optional bytes raw = 3 [default = "\\001\\377"];
  extensions 100 to 199, 1000 to max;
  extend Legacy { optional int32 extra = 100; }
}
`;

describe("printProto", () => {
  test("prints the validation rules so that they compile to the descriptor they came from", () => {
    const path = "validate.proto";
    const compiled = compile(path, printProto(file_buf_validate_validate, "Printed for a test."));
    expect(normalise(compiled.proto, path)).toEqual(normalise(file_buf_validate_validate.proto, path));
  });

  test.each([
    ["proto3", everything],
    ["proto2", legacy],
  ])("prints %s of every shape so that it compiles to the same descriptor", (_syntax, source) => {
    const file = compile("sample.proto", source);
    const again = compile("sample.proto", printProto(file, "Printed for a test."));
    expect(normalise(again.proto, "")).toEqual(normalise(file.proto, ""));
  });

  test.each([
    ["a service", 'syntax = "proto3"; message M {} service S { rpc Do(M) returns (M); }'],
    ["a group", 'syntax = "proto2"; message M { optional group G = 1 {} }'],
    ["an edition", 'edition = "2023"; message M {}'],
  ])("refuses %s instead of leaving it out", (_what, source) => {
    expect(() => printProto(compile("sample.proto", source), "")).toThrow(/cannot print/);
  });
});
