import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { judgeRequest } from "./judge-request.ts";

describe(`a request that must happen once ${verifies("R1")}`, () => {
  it("is new, was answered before, or reuses an id", () => {
    expect(judgeRequest(undefined, "1:a")).toBe("new");
    expect(judgeRequest({ digest: "1:a" }, "1:a")).toBe("replayed");
    expect(judgeRequest({ digest: "1:a" }, "1:b")).toBe("request-id-reused");
  });

  it("is answered again when its digest was taken by a program of another version", () => {
    expect(judgeRequest({ digest: "1:a" }, "2:b")).toBe("replayed");
  });
});
