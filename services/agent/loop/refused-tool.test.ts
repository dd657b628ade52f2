import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { text } from "../../../test/support/fake-anthropic/script.ts";
import type { RouterHandlers } from "../agent.fixture.ts";
import { bodiesOf } from "../real-model.fixture.ts";
import { answering, start, words } from "./mended-session.fixture.ts";

describe(`a tool that the API refuses ${verifies("F1", "F2", "FT2")}`, () => {
  const tools = (...schemas: readonly JsonObject[]): RouterHandlers => ({
    ...answering([words("ok")]),
    listTools: () => ({
      tools: schemas.map((inputSchema, n) => ({ name: `srv${n}.tool`, description: "", inputSchema })),
    }),
  });
  const sound: JsonObject = { type: "object", properties: { a: { type: "string" } } };

  it.each<[string, JsonObject]>([
    ["a boolean exclusiveMinimum", { type: "object", properties: { a: { type: "number", exclusiveMinimum: true } } }],
    ["an unknown type", { type: "object", properties: { a: { type: "strnig" } } }],
    ["required that is no list", { type: "object", required: "a" }],
    ["a property that is a text", { type: "object", properties: { a: "text" } }],
  ])("for %s is left out, visibly, and asked for no more", async (_what, schema) => {
    const real = await start({ router: tools(sound, schema, sound) }, [text("fine")]);
    const { run, events, sessionId } = await real.ask("hi");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([400, 200]);
    expect(bodiesOf(events, "toolLeftOut")).toMatchObject([
      { tool: "srv1.tool", reason: expect.stringContaining("draft 2020-12") },
    ]);
    const sent = real.fake.requests().at(-1)?.body.tools as unknown as { name: string }[];
    expect(sent.map(({ name }) => name)).toEqual(["srv0__tool", "srv2__tool"]);
    const again = await real.ask("and?", sessionId);
    expect(again.run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([200]);
    expect(bodiesOf(again.events, "toolLeftOut")).toHaveLength(1);
  });

  it("of a server with many of them costs no more requests than there are", async () => {
    const broken: JsonObject = { type: "object", properties: { a: { type: "strnig" } } };
    const router: RouterHandlers = {
      ...tools(),
      listTools: () => ({
        tools: [
          ...Array.from({ length: 40 }, (_, n) => ({ name: `bad.tool${n}`, inputSchema: broken })),
          { name: "good.tool", inputSchema: sound },
        ],
      }),
    };
    const real = await start({ router }, [text("fine")]);
    expect((await real.ask("hi")).run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([400, 400, 400, 200]);
  });
});
