/** Greetings that break the protocol, over pipes and sockets: the tools of their servers are listed and called. */
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { type Connected, connectHttp, connectProgram } from "../connection.fixture.ts";

const version = { protocolVersion: "2025-06-18" };
const tools = { capabilities: { tools: {} } };
const serverInfo = { name: "odd", version: "1" };

/** What is odd, the greeting, the title that it shows. */
const greetings: readonly [string, object, string][] = [
  ["`tools` that is true", { ...version, capabilities: { tools: true }, serverInfo }, "odd"],
  ["`tools` that is an empty list", { ...version, capabilities: { tools: [] }, serverInfo }, "odd"],
  ["an odd `listChanged`", { ...version, capabilities: { tools: { listChanged: "yes" } }, serverInfo }, "odd"],
  ["another capability that is a word", { ...version, capabilities: { tools: {}, logging: "on" }, serverInfo }, "odd"],
  ["capabilities that are null", { ...version, capabilities: null, serverInfo }, "odd"],
  ["no capabilities", { ...version, serverInfo }, "odd"],
  ["a list of capabilities", { ...version, capabilities: ["tools"], serverInfo }, "odd"],
  ["no `serverInfo`", { ...version, ...tools }, ""],
  ["a `serverInfo` that is a text", { ...version, ...tools, serverInfo: "odd 1" }, ""],
  ["a name and a version of the wrong type", { ...version, ...tools, serverInfo: { name: 7, version: 1.2 } }, ""],
  ["a title that is null", { ...version, ...tools, serverInfo: { ...serverInfo, title: null } }, "odd"],
  ["icons that are none", { ...version, ...tools, serverInfo: { ...serverInfo, icons: "i.png" } }, "odd"],
  ["instructions that are an object", { ...version, ...tools, serverInfo, instructions: {} }, "odd"],
  ["no version of the protocol", { ...tools, serverInfo }, "odd"],
  ["`_meta` that is a text", { ...version, ...tools, serverInfo, _meta: "m" }, "odd"],
];

async function entriesOf({ connection }: Connected): Promise<unknown[]> {
  const entries = [];
  for await (const page of connection.listTools(new AbortController().signal))
    entries.push(...(page.kind === "entries" ? page.entries : [page.problem]));
  return entries;
}

describe(`a server that greets with ${verifies("F1", "FT1")}`, () => {
  it.each(greetings)("%s is connected, over HTTP", async (_what, result, title) => {
    const connected = await connectHttp({ initialize: [[{ result }]] });
    expect(connected.connection.title).toBe(title);
    expect(await entriesOf(connected)).toMatchObject([{ name: "work" }]);
    expect((await connected.call()).kind).toBe("answered");
  });

  it("`tools` that is true and an odd `serverInfo` is connected, over a pipe", async () => {
    const result = { ...version, capabilities: { tools: true }, serverInfo: [] };
    const connected = await connectProgram({ initialize: [[{ result }]] });
    expect(await entriesOf(connected)).toMatchObject([{ name: "work" }]);
    expect((await connected.call()).kind).toBe("answered");
  });

  it.each([
    ["no tools", {}],
    ["tools that are null", { tools: null }],
    ["tools that are false", { tools: false }],
    ["an empty list", []],
  ])("%s among its capabilities is asked for none", async (_what, capabilities) => {
    const connected = await connectHttp({ initialize: [[{ result: { ...version, capabilities, serverInfo } }]] });
    expect(await entriesOf(connected)).toEqual([]);
    expect(connected.server.requests.map(({ method }) => method)).not.toContain("tools/list");
  });

  it("a version that nobody knows is refused", async () => {
    const result = { ...tools, serverInfo, protocolVersion: "1999-01-01" };
    await expect(connectHttp({ initialize: [[{ result }]] })).rejects.toThrow(/protocol version is not supported/);
  });
});

describe(`a message whose metadata is odd ${verifies("F1", "FT1")}`, () => {
  it.each([[null], ["text"], [[]], [{ progressToken: {} }], [{ progressToken: 1.5 }]])("is read: %j", async (_meta) => {
    const listed = { tools: [{ name: "work" }], _meta };
    const changed = { jsonrpc: "2.0", method: "notifications/tools/list_changed", params: { _meta } };
    const ping = { jsonrpc: "2.0", id: 7, method: "ping", params: { _meta } };
    const connected = await connectProgram({
      "tools/list": [[{ send: ping }, { send: changed }, { result: listed }]],
    });
    expect(await entriesOf(connected)).toMatchObject([{ name: "work" }]);
    await expect.poll(connected.changes).toBe(1);
    // The answer to its ping.
    await expect.poll(() => connected.requests().map(({ id }) => id)).toContain(7);
  });
});
