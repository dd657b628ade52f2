import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { readTarget } from "./read-target.ts";

describe(`whom a request is for ${verifies("E18")}`, () => {
  it.each([
    ["/a?b", ["Host", "mesh:1"], undefined, { authority: "mesh:1", url: "/a?b" }],
    ["/", ["Accept", "host", "HOST", "mesh"], undefined, { authority: "mesh", url: "/" }],
    ["/", [], undefined, { authority: "", url: "/" }],
    ["/", [], "mesh:1", { authority: "mesh:1", url: "/" }],
    ["/", ["host", "MESH:1"], "mesh:1", { authority: "mesh:1", url: "/" }],
    ["http://mesh:1/x?y=1", ["host", "mesh:1"], undefined, { authority: "mesh:1", url: "/x?y=1" }],
    ["http://mesh:1", ["host", "mesh:1"], undefined, { authority: "mesh:1", url: "/" }],
    ["http://mesh:1?q", ["host", "mesh:1"], undefined, { authority: "mesh:1", url: "/?q" }],
  ])("%s with %j", (url, rawHeaders, authority, target) => {
    expect(readTarget({ url, rawHeaders, headers: { ":authority": authority } })).toEqual(target);
  });

  it.each([
    ["/", ["host", "mesh", "host", "mesh"], undefined],
    ["/", ["host", "mesh", "Host", "evil.example"], undefined],
    ["/", ["host", "evil.example"], "mesh"],
    ["http://evil.example/", ["host", "mesh"], undefined],
    ["http://mesh@evil.example/", ["host", "mesh"], undefined],
    ["http://mesh/", [], undefined],
  ])("nobody, when it says two things: %s with %j", (url, rawHeaders, authority) => {
    expect(readTarget({ url, rawHeaders, headers: { ":authority": authority } })).toBeUndefined();
  });
});
