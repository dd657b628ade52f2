import { create, type JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ResetMode, ResetPolicySchema, TaskProgressSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { checkStructSize, encodeProfile, readProfile } from "./session-profile.ts";

describe("what a session keeps as one message", () => {
  it("is read as it was written; what was not set is not there", () => {
    const profile = {
      resetPolicy: create(ResetPolicySchema, { mode: ResetMode.DAILY, hour: 4 }),
      preferences: { language: "fr" },
      variables: { list: [1, null, { deep: true }] },
      task: create(TaskProgressSchema, { title: "t", percent: 5 }),
    };
    expect(readProfile(encodeProfile(profile))).toEqual(profile);
    expect(readProfile(encodeProfile({ variables: {} }))).toEqual({ variables: {} });
    expect(encodeProfile({})).toHaveLength(0);
    expect(readProfile(new Uint8Array())).toEqual({});
  });

  it(`is bounded, as it is encoded ${verifies("L7")}`, () => {
    const sized = (characters: number): JsonObject => ({ text: "ä".repeat(characters) });
    expect(() => checkStructSize(undefined, "session.variables")).not.toThrow();
    expect(() => checkStructSize(sized(32_700), "session.variables")).not.toThrow();
    expect(() => checkStructSize(sized(32_768), "session.variables")).toThrow(/session.variables has \d+ bytes, and/);
  });
});
