import { expect, it } from "vitest";
import { startFakeAnthropic } from "../../../../test/support/fake-anthropic/start-fake-anthropic.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { parseExact } from "../../../kernel/json/exact-json.ts";
import { spellArguments } from "../../../kernel/json/read-arguments.ts";
import { createLog } from "../../../kernel/log.ts";
import { assistant, gather, requestOf, result, tool, user } from "../collect-parts.fixture.ts";
import { createAnthropicModel } from "./anthropic-model.ts";

it("keeps every digit of a tool's input, as the model writes it and as it is told again", async () => {
  const fake = await startFakeAnthropic();
  try {
    const settings = { apiKey: "k", baseUrl: fake.url, maxRetries: 0, timeoutMs: 60_000, silenceMs: 30_000 };
    const model = createAnthropicModel(settings, {
      clock: systemClock,
      log: createLog({ level: "silent", format: "json" }),
    });
    const text = '{"chat":-1001234567890123456,"id":9223372036854775807,"names ü":[0.12345678901234567891]}';
    const input = parseExact(text) as Record<string, never>;
    fake.setScript([
      { kind: "answer", blocks: [{ type: "tool_use", name: "chat_send", input }] },
      { kind: "answer", blocks: [{ type: "text", text: "done" }] },
    ]);
    const schema = { type: "object", properties: { "names ü": {}, id: {}, chat: {} } };
    const tools = [{ ...tool("chat.send"), inputSchema: schema }];
    const [call] = (await gather(model, requestOf("hi", { tools }))).calls;
    expect(spellArguments(call?.arguments ?? {})).toMatchObject({ text });
    const { callId = "" } = call ?? {};
    const used = { type: "tool_use", callId, tool: "chat.send", arguments: call?.arguments ?? {} } as const;
    const asked = [user("hi"), assistant(used), user(result(callId, "sent"))];
    await gather(model, requestOf(asked, { tools }));
    const body = JSON.stringify(fake.requests().at(-1)?.body);
    for (const digits of ["-1001234567890123456", "9223372036854775807", "0.12345678901234567891"]) {
      expect(body).toContain(digits);
    }
  } finally {
    await fake.close();
  }
});
