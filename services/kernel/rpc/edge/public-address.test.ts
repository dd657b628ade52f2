import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { readPublicAddress, withoutPrefix } from "./public-address.ts";

describe(`where people reach the mesh ${verifies("FE3")}`, () => {
  it.each([
    ["https://example.com", { host: "example.com", origin: "https://example.com", prefix: "" }],
    ["https://example.com/", { host: "example.com", origin: "https://example.com", prefix: "" }],
    ["http://Example.com:8080/atoll/", { host: "example.com", origin: "http://example.com:8080", prefix: "/atoll" }],
    ["https://[::1]:8443/a/b", { host: "[::1]", origin: "https://[::1]:8443", prefix: "/a/b" }],
  ])("%s", (url, address) => {
    expect(readPublicAddress(url)).toEqual(address);
  });

  it.each([
    ["/atoll/s/ses_1", "/s/ses_1"],
    ["/atoll", "/"],
    ["/atoll/", "/"],
    ["/atoll?x=1", "/?x=1"],
    ["/atoll.gateway.v1.GatewayService/Subscribe", "/atoll.gateway.v1.GatewayService/Subscribe"],
    ["/atoll/atoll.gateway.v1.GatewayService/Subscribe", "/atoll.gateway.v1.GatewayService/Subscribe"],
    ["/s/ses_1", "/s/ses_1"],
    ["/other/atoll/", "/other/atoll/"],
  ])("a path of ours, with the prefix of a proxy or without: %s", (url, path) => {
    expect(withoutPrefix(url, "/atoll")).toBe(path);
    expect(withoutPrefix(url, "")).toBe(url);
  });
});
