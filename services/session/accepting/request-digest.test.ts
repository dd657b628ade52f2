import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import {
  type CreateSessionRequest,
  CreateSessionRequestSchema,
  SubmitMessageRequestSchema,
  UpdateSessionRequestSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { requestOf } from "./request-digest.ts";

const digestOf = (message: CreateSessionRequest) =>
  requestOf(CreateSessionRequestSchema, message, "method", () => new Uint8Array()).digest;
const request = (init: Parameters<typeof create<typeof CreateSessionRequestSchema>>[1]) =>
  create(CreateSessionRequestSchema, init);

describe(`what makes two requests the same ${verifies("R1")}`, () => {
  it("is their content, with the version of the digest in front and without the request id", () => {
    const first = digestOf(request({ requestId: "a", title: "Boats" }));
    expect(first).toMatch(/^2:[A-Za-z0-9_-]{43}$/);
    expect(digestOf(request({ requestId: "b", title: "Boats" }))).toBe(first);
    expect(digestOf(request({ requestId: "a", title: "Ships" }))).not.toBe(first);
  });

  it("is not the order in which a client's encoder writes maps, at any depth", () => {
    const one = digestOf(request({ labels: { b: "2", a: "1", 10: "x", 9: "y" } }));
    expect(digestOf(request({ labels: { 9: "y", a: "1", 10: "x", b: "2" } }))).toBe(one);
    expect(digestOf(request({ labels: { a: "2", b: "1" } }))).not.toBe(
      digestOf(request({ labels: { a: "1", b: "2" } })),
    );
    const submit = (metadata: Record<string, string>) =>
      requestOf(
        SubmitMessageRequestSchema,
        create(SubmitMessageRequestSchema, { message: { metadata } }),
        "method",
        () => new Uint8Array(),
      ).digest;
    expect(submit({ x: "1", y: "2" })).toBe(submit({ y: "2", x: "1" }));
  });

  it("is not the order of a Struct's fields", () => {
    const answer = (preferences: JsonObject) =>
      requestOf(
        UpdateSessionRequestSchema,
        create(UpdateSessionRequestSchema, { session: { preferences } }),
        "method",
        () => new Uint8Array(),
      ).digest;
    expect(answer({ a: { x: 1, y: 2 }, b: [{ p: 1, q: 2 }] })).toBe(answer({ b: [{ q: 2, p: 1 }], a: { y: 2, x: 1 } }));
    expect(answer({ a: 1 })).not.toBe(answer({ a: 2 }));
  });

  it("is not what this build does not know of it", () => {
    const known = request({ title: "Boats" });
    const field = { no: 999, wireType: WireType.LengthDelimited, data: new BinaryWriter().string("new").finish() };
    expect(digestOf({ ...known, $unknown: [field] })).toBe(digestOf(known));
  });

  it("leaves the request as it was", () => {
    const asked = request({ requestId: "a", labels: { b: "2", a: "1" } });
    const before = toBinary(CreateSessionRequestSchema, asked);
    digestOf(asked);
    expect(toBinary(CreateSessionRequestSchema, asked)).toEqual(before);
    expect(fromBinary(CreateSessionRequestSchema, before).requestId).toBe("a");
  });
});
