import { readFileSync } from "node:fs";
import { getOption } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { code, ErrorReason, ErrorReasonSchema } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { promisedMetadata } from "./error-metadata.ts";
import { failure, failureFacts } from "./errors.ts";

/** What the comments of the contract promise: each `{…}` behind "Metadata:" is one set of keys. */
function readPromises(): Map<string, string[][]> {
  const path = new URL("../../proto/atoll/error/v1/error_reason.proto", import.meta.url);
  const promises = new Map<string, string[][]>();
  let comment = "";
  for (const line of readFileSync(path, "utf8")
    .split("\n")
    .map((each) => each.trim())) {
    const [, name] = /^ERROR_REASON_(\w+) = \d+/.exec(line) ?? [];
    if (line.startsWith("//")) comment += ` ${line.slice(2).trim()}`;
    else if (name === undefined) comment = "";
    else {
      const [, said = ""] = comment.split("Metadata:");
      promises.set(
        name,
        (said.match(/\{[^}]*\}/g) ?? []).map((example) => Object.keys(JSON.parse(example) as object)),
      );
      comment = "";
    }
  }
  return promises;
}

describe("the metadata of a reason", () => {
  it("is what the contract promises, which tsc holds every place to that makes a failure", () => {
    expect(Object.fromEntries(readPromises())).toEqual(promisedMetadata);
  });

  it("is promised of each reason that is ever sent", () => {
    const silent = Object.entries(promisedMetadata).flatMap(([name, sets]) => (sets.length === 0 ? [name] : []));
    expect(silent).toEqual(["UNSPECIFIED"]);
    const coded = ErrorReasonSchema.values.filter((value) => getOption(value, code) !== 0);
    expect(coded).toHaveLength(Object.keys(promisedMetadata).length - 1);
  });

  it("is refused by the compiler where a key is missing, too much, or another reason's", () => {
    // @ts-expect-error without metadata
    failure(ErrorReason.EPOCH_FENCED, "late");
    // @ts-expect-error without run_id
    failure(ErrorReason.EPOCH_FENCED, "late", { metadata: { epoch: "3" } });
    // @ts-expect-error with a key that nobody promised
    failure(ErrorReason.SCOPE_MISSING, "no", { metadata: { scope: "TOOLS_READ", tenant: "local" } });
    // @ts-expect-error of FIELD_INVALID the fields are the metadata
    failure(ErrorReason.FIELD_INVALID, "title: too long");
    for (const metadata of [{ session_id: "ses_1" }, { key: "agent:main:main" }])
      expect(failureFacts(failure(ErrorReason.SESSION_NOT_FOUND, "gone", { metadata })).metadata).toEqual(metadata);
  });
});
