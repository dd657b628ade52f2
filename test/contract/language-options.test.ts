// Every contract says how each language is to name what is generated from it, so that nobody needs managed mode.
import type { DescFile } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { file_atoll_admin_v1_admin_service } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { file_atoll_agent_v1_agent_service } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { file_atoll_gateway_v1_gateway_service } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { file_atoll_internal_v1_instance_service } from "../../gen/atoll/internal/v1/instance_service_pb.ts";
import { file_atoll_internal_v1_raw_events } from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import { file_atoll_session_v1_session_service } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { file_atoll_tool_v1_tool_router_service } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";

const roots = [
  file_atoll_admin_v1_admin_service,
  file_atoll_agent_v1_agent_service,
  file_atoll_gateway_v1_gateway_service,
  file_atoll_internal_v1_instance_service,
  file_atoll_internal_v1_raw_events,
  file_atoll_session_v1_session_service,
  file_atoll_tool_v1_tool_router_service,
];

function ours(file: DescFile, found = new Map<string, DescFile>()): Map<string, DescFile> {
  if (!file.name.startsWith("atoll/") || found.has(file.name)) return found;
  found.set(file.name, file);
  for (const each of file.dependencies) ours(each, found);
  return found;
}

const files = [...new Map(roots.flatMap((root) => [...ours(root)]))];

test.each(files)("%s names its package in every language", (name, { proto }) => {
  const [, area = ""] = /^atoll\/(\w+)\/v1\//.exec(name) ?? [];
  const words = (name.split("/").at(-1) ?? "").split("_");
  const outer = `${words.map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`).join("")}Proto`;
  expect(proto.options).toMatchObject({
    goPackage: `atoll.example/go/atoll/${area}/v1;${area}v1`,
    javaPackage: `atoll.${area}.v1`,
    javaMultipleFiles: true,
    javaOuterClassname: outer,
    swiftPrefix: `Atoll_${area[0]?.toUpperCase()}${area.slice(1)}_V1_`,
  });
});

test("no two packages import each other, which Go does not allow", () => {
  const packageOf = (name: string): string => name.split("/").slice(0, -1).join("/");
  const imports = new Map<string, Set<string>>();
  for (const [name, file] of files) {
    const of = imports.get(packageOf(name)) ?? new Set();
    imports.set(packageOf(name), of);
    for (const { name: other } of file.dependencies) if (packageOf(other) !== packageOf(name)) of.add(packageOf(other));
  }
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    [...(imports.get(from) ?? [])].some(
      (next) => next === to || (!seen.has(next) && reaches(next, to, seen.add(next))),
    );
  expect([...imports.keys()].filter((each) => reaches(each, each))).toEqual([]);
});
