import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatSessionKey, longestKey, parseScopePattern, parseSessionKey } from "./session-key.ts";

const read = (text: string) => {
  const parsed = parseSessionKey(text);
  return "problem" in parsed ? parsed.problem : parsed.value;
};

describe("a session key", () => {
  it.each([
    ["agent:main:main", "main", ["main"]],
    ["agent:main:direct:ada", "main", ["direct", "ada"]],
    ["agent:main:direct:telegram:42", "main", ["direct", "telegram", "42"]],
    ["agent:main:group:telegram:-100", "main", ["group", "telegram", "-100"]],
    ["agent:main:channel:slack:C01", "main", ["channel", "slack", "C01"]],
    ["agent:main:thread:slack:C01:1700.5", "main", ["thread", "slack", "C01", "1700.5"]],
    ["agent:main:global", "main", ["global"]],
    ["agent:main:cli", "main", ["cli"]],
    ["agent:main:nightly:report:7", "main", ["nightly", "report", "7"]],
    ["direct:mail:ada@example.com", undefined, ["direct", "mail", "ada@example.com"]],
    ["boats", undefined, ["boats"]],
  ])("%s", (text, agentId, scope) => {
    expect(read(text)).toEqual({ agentId, scope });
  });

  it("has agent, kind and channel in lower case, and the rest as it is", () => {
    expect(read("Agent:MAIN:Direct:Telegram:Ada")).toEqual({ agentId: "main", scope: ["direct", "telegram", "Ada"] });
    expect(read("THREAD:Slack:Room:Thread")).toEqual({
      agentId: undefined,
      scope: ["thread", "slack", "Room", "Thread"],
    });
    expect(read("Direct:Ada")).toEqual({ agentId: undefined, scope: ["direct", "Ada"] });
    expect(read("Main")).toEqual({ agentId: undefined, scope: ["main"] });
    expect(read("Boats:Red")).toEqual({ agentId: undefined, scope: ["Boats", "Red"] });
  });

  it.each([
    ["", /part ""/],
    ["agent", /agent:<agent>:<scope>/],
    ["agent:", /agent:<agent>:<scope>/],
    ["agent:main", /no scope: agent:main:main/],
    ["agent:main:", /part ""/],
    ["agent:_:main", /agent:<agent>:<scope>/],
    [`agent:${"a".repeat(65)}:main`, /1–64/],
    ["agent:main:agent:main:x", /scope agent/],
    ["agent:main:main:x", /kind main that is not main/],
    ["agent:main:direct", /direct:<peer> or direct:<channel>:<peer>/],
    ["direct:a:b:c", /direct:<peer>/],
    ["group:telegram", /group:<channel>:<group>/],
    ["channel:a:b:c", /channel:<channel>:<room>/],
    ["thread:slack:room", /thread:<channel>:<room>:<thread>/],
    ["a::b", /part ""/],
    ["a:b:", /part ""/],
    ["direct:telegram:*", /part "\*"/],
    ["direct:../etc", /part "..\/etc"/],
    ["ｍａｉｎ", /part/],
    ["direct:a\u0000", /part/],
    ["x".repeat(longestKey + 1), /257 characters, and 256/],
  ])("is refused: %s", (text, problem) => {
    expect(read(text)).toMatch(problem);
  });

  const word = fc.stringMatching(/^[A-Za-z0-9._@+-]{1,12}$/);
  const kind = fc.constantFrom("main", "Direct", "group", "CHANNEL", "thread", "global", "agent", "free", "");
  const anyKey = fc.oneof(
    fc.string(),
    fc.array(fc.oneof(word, kind), { maxLength: 6 }).map((parts) => parts.join(":")),
  );

  it("is the same once it was normalised, in every case of letters", () => {
    fc.assert(
      fc.property(anyKey, (text) => {
        const parsed = read(text);
        if (typeof parsed === "string") return;
        const { agentId = "main", scope } = parsed;
        const full = formatSessionKey(agentId, scope);
        expect(read(full)).toEqual({ agentId, scope });
        expect(full).toMatch(/^agent:[a-z0-9][a-z0-9_-]*(:[A-Za-z0-9._@+-]+)+$/);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is of one conversation: other peers, channels, rooms or kinds have another one", () => {
    const scopes = fc.oneof(
      fc.tuple(fc.constant("direct"), word),
      fc.tuple(fc.constantFrom("direct", "group", "channel"), word, word),
      fc.tuple(fc.constant("thread"), word, word, word),
    );
    const whose = (parts: readonly string[]) =>
      JSON.stringify(parts.map((part, index) => (index === 1 && parts.length > 2 ? part.toLowerCase() : part)));
    fc.assert(
      fc.property(scopes, scopes, (one, other) => {
        const [a, b] = [one, other].map((parts) => JSON.stringify(read(parts.join(":"))));
        expect(a === b).toBe(whose(one) === whose(other));
      }),
    );
  });
});

describe("a pattern of scopes", () => {
  it.each([
    ["*", ["*"]],
    ["direct:*", ["direct", "*"]],
    ["Group:Telegram:*", ["group", "telegram", "*"]],
    ["group:*:42", ["group", "*", "42"]],
    ["thread:slack:*", ["thread", "slack", "*"]],
    ["main", ["main"]],
    ["nightly:*:report", ["nightly", "*", "report"]],
  ])("%s", (text, value) => {
    expect(parseScopePattern(text)).toEqual({ value });
  });

  it.each(["", "main:*", "group:telegram", "thread:*:x", "direct:*:*:*", "a:**", "agent:main:*", "a: b"])(
    "that nothing can fit is refused: %s",
    (text) => {
      expect(parseScopePattern(text)).toHaveProperty("problem");
    },
  );
});
