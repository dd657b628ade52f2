import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { boundDeadlines, statedTimeoutMs } from "./bound-deadlines.ts";

describe(`a caller's deadline ${verifies("FE1")}`, () => {
  it.each([
    ["connect-timeout-ms", "2147483647", "2147483647"],
    ["connect-timeout-ms", "2147483648", "2147483647"],
    ["connect-timeout-ms", "9999999999", "2147483647"],
    ["connect-timeout-ms", "0", "0"],
    ["connect-timeout-ms", "soon", "soon"],
    ["grpc-timeout", "99999999H", "2147483S"],
    ["grpc-timeout", "596H", "596H"],
    ["grpc-timeout", "597H", "2147483S"],
    ["grpc-timeout", "99999999M", "2147483S"],
    ["grpc-timeout", "99999999S", "2147483S"],
    ["grpc-timeout", "99999999m", "99999999m"],
    ["grpc-timeout", "99999999n", "99999999n"],
    // More digits than the protocol has.
    ["grpc-timeout", "2000000000m", "2000000S"],
    ["grpc-timeout", "3000000000m", "2147483S"],
    ["grpc-timeout", "-1S", "-1S"],
    ["grpc-timeout", "", ""],
  ])("%s: %s is %s", (name, value, bounded) => {
    const header = new Headers({ [name]: value });
    boundDeadlines(header);
    expect(header.get(name)).toBe(bounded);
  });

  it.each([
    [{}, undefined],
    [{ "connect-timeout-ms": "40" }, 40],
    [{ "grpc-timeout": "40m" }, 40],
    [{ "grpc-timeout": "2S" }, 2_000],
    [{ "grpc-timeout": "1500u" }, 1],
  ])("is told in whole milliseconds: %o", (headers, timeoutMs) => {
    expect(statedTimeoutMs(new Headers(headers as Record<string, string>))).toBe(timeoutMs);
  });
});
