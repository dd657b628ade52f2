import { describe, expect, it } from "vitest";
import { checkHost, checkOrigin, listAllowedHosts } from "./origin-guard.ts";

const loopback = listAllowedHosts({ host: "127.0.0.1", port: 18789, tls: false, configured: [] });
const open = listAllowedHosts({
  host: "0.0.0.0",
  port: 443,
  tls: true,
  configured: ["Mesh.Example.com", "lan.example:8443"],
});
const ipv6 = listAllowedHosts({ host: "fd00::5", port: 18789, tls: false, configured: [] });

describe("checkHost", () => {
  it.each([
    ["localhost:18789", loopback],
    ["LOCALHOST:18789", loopback],
    ["127.0.0.1:18789", loopback],
    ["[::1]:18789", loopback],
    ["[fd00::5]:18789", ipv6],
    ["localhost", open],
    ["localhost:443", open],
    ["mesh.example.com", open],
    ["mesh.example.com:9999", open],
    ["lan.example:8443", open],
  ])("allows %s", (authority, hosts) => {
    expect(checkHost(authority, hosts)).toEqual({ kind: "allowed" });
  });

  it.each([
    [undefined, loopback],
    ["", loopback],
    ["evil.example:18789", loopback],
    ["localhost", loopback],
    ["localhost:80", loopback],
    ["localhost:", loopback],
    ["localhost.evil.example:18789", loopback],
    ["evil.example@localhost:18789", loopback],
    ["localhost:18789@evil.example", loopback],
    ["localhost:18789/evil", loopback],
    ["local host:18789", loopback],
    ["localhost:18789:18789", loopback],
    ["0.0.0.0:443", open],
    ["lan.example:8444", open],
    ["lan.example", open],
    ["[::1", loopback],
  ])("refuses %s with 421", (authority, hosts) => {
    expect(checkHost(authority, hosts)).toMatchObject({ kind: "refused", status: 421 });
  });
});

describe("checkOrigin", () => {
  const authority = "127.0.0.1:18789";
  const none = new Set<string>();
  const app = new Set(["https://app.example"]);

  it.each([
    ["a client that is no browser", {}, none],
    ["the page's own request", { origin: "http://127.0.0.1:18789", "sec-fetch-site": "same-origin" }, none],
    ["the page's own GET", { "sec-fetch-site": "same-origin" }, none],
    ["a typed address", { "sec-fetch-site": "none" }, none],
    ["an old browser's own origin", { origin: "http://127.0.0.1:18789" }, none],
    ["an own origin behind a TLS proxy", { origin: "https://127.0.0.1:18789" }, none],
    ["a listed origin", { origin: "https://app.example", "sec-fetch-site": "cross-site" }, app],
    ["a listed origin of an old browser", { origin: "https://APP.example" }, app],
  ])("allows %s", (_what, headers, origins) => {
    expect(checkOrigin(headers, authority, origins)).toEqual({ kind: "allowed" });
  });

  it.each([
    ["a cross-site fetch", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }, app],
    ["a cross-site GET without Origin", { "sec-fetch-site": "cross-site" }, app],
    ["another port of the same site", { origin: "http://127.0.0.1:3000", "sec-fetch-site": "same-site" }, app],
    ["an old browser's foreign origin", { origin: "https://evil.example" }, app],
    ["a sandboxed frame", { origin: "null" }, app],
    ["an origin that begins like ours", { origin: "http://127.0.0.1:18789.evil.example" }, app],
    ["an unknown Sec-Fetch-Site", { "sec-fetch-site": "same-origin, cross-site" }, app],
    ["a repeated Sec-Fetch-Site", { "sec-fetch-site": ["same-origin", "cross-site"] }, app],
    ["two origins at once", { origin: "https://app.example, https://evil.example" }, app],
    ["an empty Origin", { origin: "" }, app],
  ])("refuses %s with 403", (_what, headers, origins) => {
    expect(checkOrigin(headers, authority, origins)).toMatchObject({ kind: "refused", status: 403 });
  });
});
