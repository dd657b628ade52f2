import { create } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { describe, expect, it } from "vitest";
import { ListToolsRequestSchema } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { nameInMesh } from "../listing/mesh-name.ts";
import { cutPage } from "./page.ts";

const validator = createValidator();

describe("a page of tools", () => {
  it.each(["x", "é", "工", "😀", "\u0000"])(
    "ends with a token that the contract takes, after a name of %j",
    (character) => {
      const names = ["a", "b"].map((end) => nameInMesh("s".repeat(64), character.repeat(300) + end).name).sort();
      const page = cutPage(names, (name) => name, 1, "");
      const request = create(ListToolsRequestSchema, { pageToken: page.nextPageToken });
      expect(validator.validate(ListToolsRequestSchema, request).kind).toBe("valid");
      expect(cutPage(names, (name) => name, 1, page.nextPageToken).items).toEqual(names.slice(1));
    },
  );
});
