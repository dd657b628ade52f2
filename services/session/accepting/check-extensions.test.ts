import { create, toJsonString } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ContentBlock, ContentBlockSchema } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { jsonRegistry } from "../../kernel/event/json-registry.ts";
import { checkExtensions } from "./check-extensions.ts";

const extension = (typeUrl: string, value = new Uint8Array()): ContentBlock =>
  create(ContentBlockSchema, { block: { case: "extension", value: create(AnySchema, { typeUrl, value }) } });
const kind = "type.googleapis.com/maker.v1.Kind";
const words = create(ContentBlockSchema, { block: { case: "text", value: { text: "hello" } } });

function refusal(...content: readonly ContentBlock[]) {
  try {
    checkExtensions(content, "message.content");
  } catch (error) {
    return failureFacts(ConnectError.from(error));
  }
  return undefined;
}

describe("content of another maker's kind", () => {
  it("may have any type with a name, and any encoded message as its value", () => {
    expect(refusal(words, extension(kind), extension("maker/Kind", Uint8Array.of(0x0a, 1, 65)))).toBeUndefined();
  });

  it.each(["", "Kind", "/Kind", "type.googleapis.com/", "type.googleapis.com/a b", "x/1.2"])(
    `is refused with the type "%s" ${verifies("L6")}`,
    (typeUrl) => {
      const fields = [{ path: "message.content[1].extension.type_url" }];
      expect(refusal(words, extension(typeUrl))).toMatchObject({ reason: ErrorReason.FIELD_INVALID, fields });
    },
  );

  it("is refused when its value is no message", () => {
    const fields = [{ path: "message.content[0].extension.value" }];
    expect(refusal(extension(kind, Uint8Array.of(0xff, 0xff)))).toMatchObject({ fields });
  });

  it(`can be told in JSON whenever it is accepted ${verifies("S6")}`, () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    const types = fc.oneof(fc.constant(kind), fc.string({ maxLength: 20 }));
    fc.assert(
      fc.property(types, bytes, (typeUrl, value) => {
        const block = extension(typeUrl, value);
        if (refusal(block) !== undefined) return;
        const json = toJsonString(ContentBlockSchema, block, { registry: jsonRegistry });
        expect(JSON.parse(json)).toEqual({ extension: { "@type": typeUrl } });
      }),
      { numRuns: 1_000 },
    );
  });
});
