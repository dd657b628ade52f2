import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatListen, parseHost, parseListen, parseOrigin, parseUrl } from "./addresses.ts";

describe("parseListen", () => {
  it("reads back every address that it can write", () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("localhost", "mesh.example.com"));
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
        const address = { host: name, port };
        expect(parseListen(formatListen(address))).toEqual({ value: address });
      }),
    );
  });

  it.each([
    ["8080", "Did you mean `127.0.0.1:8080`?"],
    [":8080", "Write 0.0.0.0 for every address of this machine."],
    ["::1:8080", "IPv6 stands in brackets: `[::1]:8080`."],
  ])("says what %s should have been", (text, hint) => {
    expect(parseListen(text)).toMatchObject({ hint });
  });

  it.each(["", ":", "h:", "h:-1", "h:1e3", "h:65536", "[::1]", "[h]:1", "a b:1", "1.2.3:1", "-h:1"])(
    "refuses %j",
    (text) => {
      expect(parseListen(text)).toHaveProperty("expected");
    },
  );
});

describe("parseOrigin, parseHost and parseUrl", () => {
  it("bring an address to the form that it is compared in", () => {
    expect(parseOrigin("https://Chat.example.com/")).toEqual({ value: "https://chat.example.com" });
    expect(parseOrigin("http://h:80")).toEqual({ value: "http://h" });
    expect(parseHost("Mesh.Local")).toEqual({ value: "mesh.local" });
    expect(parseHost("[::1]")).toEqual({ value: "::1" });
    expect(parseUrl("http://127.0.0.1:18801/")).toEqual({ value: "http://127.0.0.1:18801" });
  });

  it.each(["null", "*", "https://h/path", "https://u@h", "file:///x"])("refuse the origin %s", (text) => {
    expect(parseOrigin(text)).toHaveProperty("expected");
  });

  it.each(["h:80", "http://h", "a/b", "", "*"])("refuse the host %j", (text) => {
    expect(parseHost(text)).toHaveProperty("expected");
  });
});
