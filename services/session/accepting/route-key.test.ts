import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorReason, failedWith, failureFacts } from "../../kernel/errors.ts";
import { orderBindings } from "../../kernel/scope-bindings.ts";
import { type KeyRouting, routeKey } from "./route-key.ts";

const routing: KeyRouting = {
  defaultAgent: "main",
  bindings: orderBindings([
    { pattern: ["direct", "telegram", "*"], agentId: "support" },
    { pattern: ["direct", "telegram", "42"], agentId: "boss" },
  ]),
  directScope: "channel_peer",
};

describe("the key of a session", () => {
  it.each([
    ["", "", "", "main"],
    ["", "helper", "", "helper"],
    ["boats", "", "agent:main:boats", "main"],
    ["boats", "helper", "agent:helper:boats", "helper"],
    ["agent:helper:boats", "", "agent:helper:boats", "helper"],
    ["agent:helper:boats", "helper", "agent:helper:boats", "helper"],
    ["direct:telegram:7", "", "agent:support:direct:telegram:7", "support"],
    ["direct:telegram:42", "", "agent:boss:direct:telegram:42", "boss"],
    ["direct:telegram:42", "helper", "agent:helper:direct:telegram:42", "helper"],
    ["agent:main:direct:telegram:42", "", "agent:main:direct:telegram:42", "main"],
    ["direct:42", "", "agent:main:direct:42", "main"],
  ])("%j with the agent %j is %j of %s", (text, asked, key, agentId) => {
    expect(routeKey(routing, text, asked)).toEqual({ key, agentId });
  });

  it.each([
    ["main", "direct:telegram:42", "agent:boss:main"],
    ["main", "direct:7", "agent:main:main"],
    ["peer", "direct:telegram:42", "agent:boss:direct:42"],
    ["peer", "direct:slack:42", "agent:main:direct:42"],
    ["channel_peer", "direct:slack:42", "agent:main:direct:slack:42"],
  ] as const)("with directScope %s: %s is %s", (directScope, text, key) => {
    expect(routeKey({ ...routing, directScope }, text, "").key).toBe(key);
  });

  it("shares groups, rooms and threads under no setting", () => {
    for (const directScope of ["main", "peer", "channel_peer"] as const)
      for (const scope of ["group:a:b", "channel:a:b", "thread:a:b:c", "global", "x:direct:y"])
        expect(routeKey({ ...routing, directScope }, scope, "").key).toBe(`agent:main:${scope}`);
  });

  it("is different for different people, however the agents are bound, unless they are to share", () => {
    const name = fc.stringMatching(/^[a-z0-9]{1,3}$/);
    const person = fc.record({ channel: name, peer: name });
    const write = ({ channel, peer }: { readonly channel: string; readonly peer: string }) =>
      `direct:${channel}:${peer}`;
    fc.assert(
      fc.property(person, person, (one, other) => {
        const keyOf = (directScope: KeyRouting["directScope"], text: string) =>
          routeKey({ ...routing, bindings: [], directScope }, text, "").key;
        const areSame = (directScope: KeyRouting["directScope"]) =>
          keyOf(directScope, write(one)) === keyOf(directScope, write(other));
        expect(areSame("channel_peer")).toBe(write(one) === write(other));
        expect(areSame("peer")).toBe(one.peer === other.peer);
        expect(areSame("main")).toBe(true);
      }),
    );
  });

  it("finds the same session when the key that was given out is asked for", () => {
    const parts = fc.array(fc.constantFrom("direct", "telegram", "42", "A", "main"), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(parts, fc.constantFrom("main", "peer", "channel_peer"), (scope, directScope) => {
        const config = { ...routing, directScope };
        let routed: ReturnType<typeof routeKey>;
        try {
          routed = routeKey(config, scope.join(":"), "");
        } catch (error) {
          expect(failedWith(error, ErrorReason.FIELD_INVALID)).toBe(true);
          return;
        }
        expect(routeKey(config, routed.key, "")).toEqual(routed);
      }),
    );
  });

  it.each([
    ["agent:main", "", "key"],
    ["group:telegram", "", "key"],
    ["agent:main:x", "helper", "agent_id"],
    ["x".repeat(256), "", "key"],
  ])("is refused: %j with the agent %j, at %s", (text, asked, path) => {
    const error = (() => {
      try {
        return routeKey(routing, text, asked);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(failedWith(error, ErrorReason.FIELD_INVALID)).toBe(true);
    expect(failureFacts(error as never).fields).toMatchObject([{ path }]);
  });
});
