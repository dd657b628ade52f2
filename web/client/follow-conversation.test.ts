import { afterEach, describe, expect, test } from "vitest";
import { breaksAfter, delta, headSeq, honest, log, logId, text } from "./answer-log.fixture.ts";
import { followConversation } from "./follow-conversation.ts";
import {
  eventOf,
  type ScriptedGateway,
  type SubscribeScript,
  startScriptedGateway,
} from "./scripted-gateway.fixture.ts";

let gateway: ScriptedGateway | undefined;

afterEach(() => gateway?.close());

describe("followConversation", () => {
  test("folds the whole answer over broken streams and merged deltas", async () => {
    const merged: SubscribeScript = async function* () {
      yield { events: [delta(1, 9), ...log.slice(9)], logId, headSeq };
    };
    gateway = await startScriptedGateway({ subscribe: [breaksAfter(4, (cut) => cut()), merged] });
    const seen: string[] = [];
    const { client } = gateway;
    for await (const { turns } of followConversation({ client, sessionId: "ses_1", untilRunId: "run_1" })) {
      seen.push(
        turns
          .flatMap((turn) => (turn.kind === "run" ? turn.items : []))
          .map((i) => i.kind === "block" && i.text)
          .join(),
      );
    }
    expect(seen).toEqual(["0", "01", "012", "0123", text]);
  });

  test("reads the log once more when an event breaks an invariant, then gives up", async () => {
    const broken = eventOf({
      firstSeq: 1,
      seq: 1,
      runId: "run_1",
      textDelta: { blockId: "1.1.0", offset: 5, text: "x" },
    });
    const wrong: SubscribeScript = async function* () {
      yield { events: [broken], logId, headSeq };
    };
    const follow = async (scripts: readonly SubscribeScript[]) => {
      gateway?.close();
      gateway = await startScriptedGateway({ subscribe: scripts });
      let seq = 0;
      const { client } = gateway;
      for await (const conversation of followConversation({ client, sessionId: "ses_1", untilRunId: "run_1" })) {
        seq = conversation.seq;
      }
      return seq;
    };
    await expect(follow([wrong, honest])).resolves.toBe(11);
    await expect(follow([wrong])).rejects.toMatchObject({ problem: "offset" });
  });
});
