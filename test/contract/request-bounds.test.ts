/**
 * E5 and E16, walked over the contracts: every list and map of every request has a bound of entries, every text the pattern of
 * its kind or a bound of its length, or it stands here with the reason why not.
 */
import { type DescField, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { field as fieldRules, type StringRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { describe, expect, it } from "vitest";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { maxEntriesOf } from "../../services/kernel/rpc/gate/count-entries.ts";
import { verifies } from "../requirements.ts";

const services = [AdminService, AgentService, GatewayService, SessionService, ToolRouterService];

/** Whole packages and messages whose fields are bounded otherwise. */
const boundedElsewhere: Readonly<Record<string, string>> = {
  "atoll.config.v1.": "read from a file; UpdateConfig and the RPCs that would take a server are not served",
  "atoll.event.v1.": "written by workers; kernel/event/check-worker-event.ts looks at each, within 4 MiB a batch",
  "atoll.session.v1.AppendBatch": "of workers: its ids are compared with those of leases and kept nowhere",
  "google.protobuf.": "values of structures, counted in all (count-entries.ts), and extensions (check-extensions.ts)",
};

/** Free text without a bound of its own: what people and models write, bounded by the size of the message. */
const freeText = new Set([
  "atoll.content.v1.TextBlock.text",
  "atoll.content.v1.ThinkingBlock.text",
  "atoll.content.v1.AudioBlock.transcript",
]);

/** JSON text, which is read with bounds of its own, and answers of people: with a bound of its bytes. */
const ofBytes = /\.(arguments_json|content_json)$|Answer(QuestionRequest)?\.text$/;

/** Text for people, with a bound of its length and no pattern. */
const forPeople =
  /\.(title|detail|reason|name|display_name|alt_text|file_name|decided_by|query|created_by)$|Session\.(session_id|key|agent_id|log_id|active_run_id|parent_session_id|forked_from_session_id)$/;

function* fieldsOf(message: DescMessage, seen = new Set<string>()): Generator<DescField> {
  if (seen.has(message.typeName)) return;
  seen.add(message.typeName);
  for (const field of message.fields) {
    yield field;
    if (field.message !== undefined) yield* fieldsOf(field.message, seen);
  }
}

const seen = new Set<string>();
const fields = services.flatMap((service) => service.methods.flatMap(({ input }) => [...fieldsOf(input, seen)]));
const nameOf = (field: DescField): string => `${field.parent.typeName}.${field.name}`;
const isBoundedHere = (field: DescField): boolean =>
  !Object.keys(boundedElsewhere).some((prefix) => nameOf(field).startsWith(prefix));

const stringRules = (field: DescField): StringRules | undefined => {
  const { type } = hasOption(field, fieldRules) ? getOption(field, fieldRules) : { type: undefined };
  if (type?.case === "string") return type.value;
  const items = type?.case === "repeated" ? type.value.items?.type : undefined;
  return items?.case === "string" ? items.value : undefined;
};

const isText = (field: DescField): boolean =>
  (field.fieldKind === "scalar" && field.scalar === 9) ||
  (field.fieldKind === "list" && field.listKind === "scalar" && field.scalar === 9);

describe("the fields of requests", () => {
  it(`that are lists or maps have a bound of their entries ${verifies("E5")}`, () => {
    const many = fields.filter(({ fieldKind }) => fieldKind === "list" || fieldKind === "map").filter(isBoundedHere);
    expect(many.length).toBeGreaterThan(12);
    expect(many.filter((field) => maxEntriesOf(field) === undefined).map(nameOf)).toEqual([]);
    expect(fields.filter((field) => nameOf(field) === "google.protobuf.FieldMask.paths").map(maxEntriesOf)).toEqual([
      64,
    ]);
  });

  it(`that are text have the pattern of their kind, or are for people and bounded in length ${verifies("E16")}`, () => {
    const texts = fields
      .filter(isText)
      .filter(isBoundedHere)
      .filter((field) => !freeText.has(nameOf(field)));
    expect(texts.length).toBeGreaterThan(100);
    const loose = texts.filter((field) => {
      const rules = stringRules(field);
      if (rules === undefined) return true;
      if (ofBytes.test(nameOf(field))) return rules.maxBytes === 0n;
      return (
        rules.pattern === "" && !(rules.maxLen > 0n && (forPeople.test(nameOf(field)) || field.fieldKind === "list"))
      );
    });
    expect(loose.map(nameOf)).toEqual([]);
  });

  it(`that are keys of labels and metadata have the pattern of names ${verifies("E16")}`, () => {
    const maps = fields.filter(({ fieldKind }) => fieldKind === "map").filter(isBoundedHere);
    for (const field of maps) {
      const { type } = getOption(field, fieldRules);
      const keys = type.case === "map" ? type.value.keys?.type : undefined;
      const values = type.case === "map" ? type.value.values?.type : undefined;
      expect([nameOf(field), keys?.case === "string" && keys.value.pattern !== ""]).toEqual([nameOf(field), true]);
      const isBounded = values?.case === "string" && (values.value.maxLen > 0n || values.value.pattern !== "");
      expect([nameOf(field), isBounded]).toEqual([nameOf(field), true]);
    }
  });

  it(`refuse NUL, line breaks, direction marks and ten kilobytes wherever an id or a name stands ${verifies("E16")}`, () => {
    const patterned = fields.filter(isBoundedHere).filter((field) => (stringRules(field)?.pattern ?? "") !== "");
    for (const field of patterned) {
      const pattern = new RegExp(stringRules(field)?.pattern ?? "", "u");
      for (const text of ["a\u0000b", "a\nb", "a\u202eb", "a\u200bb", "a\u0085b", "a\u{e0041}b", "x".repeat(10_240)]) {
        expect([nameOf(field), JSON.stringify(text).slice(0, 20), pattern.test(text)]).toEqual([
          ...[nameOf(field), JSON.stringify(text).slice(0, 20), false],
        ]);
      }
    }
    expect(patterned.length).toBeGreaterThan(80);
  });
});
