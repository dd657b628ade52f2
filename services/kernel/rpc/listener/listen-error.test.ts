import { expect, it } from "vitest";
import { explainListenFailure } from "./listen-error.ts";

it.each([
  ["EADDRINUSE", "PORT_IN_USE"],
  ["EACCES", "PORT_FORBIDDEN"],
  ["EADDRNOTAVAIL", "ADDRESS_UNAVAILABLE"],
  ["ENOTFOUND", "ADDRESS_UNAVAILABLE"],
])("explains %s as %s", (code, reason) => {
  const cause = Object.assign(new Error(code), { code });
  expect(explainListenFailure(cause, "127.0.0.1", 80)).toMatchObject({ reason, host: "127.0.0.1", port: 80, cause });
});

it("leaves a failure of another kind as it is", () => {
  const cause = Object.assign(new Error("too many files"), { code: "EMFILE" });
  expect(explainListenFailure(cause, "127.0.0.1", 80)).toBe(cause);
});
