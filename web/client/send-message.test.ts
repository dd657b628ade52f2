import { Code } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";
import { meshError, type ScriptedGateway, type SendScript, startScriptedGateway } from "./scripted-gateway.fixture.ts";
import { sendMessage } from "./send-message.ts";

const accept: SendScript = async () => ({ sessionId: "ses_1", runId: "run_1", messageId: "msg_1", seq: 1n });
const unavailable: SendScript = async () => {
  throw meshError(Code.Unavailable, "PEER_UNAVAILABLE");
};
const cut: SendScript = (_, cutConnection) => cutConnection();
const request = { message: { content: [{ block: { case: "text" as const, value: { text: "Hello" } } }] } };
const random = () => 0;

let gateway: ScriptedGateway | undefined;
afterEach(() => gateway?.close());

test("tries again with the same request id when the answer was cut off or the mesh was away", async () => {
  gateway = await startScriptedGateway({ send: [unavailable, cut, accept] });
  const answer = await sendMessage({ client: gateway.client, request, random });
  expect(answer).toMatchObject({ runId: "run_1" });
  const ids = gateway.sends.map(({ requestId }) => requestId);
  expect(ids).toHaveLength(3);
  expect(new Set(ids).size).toBe(1);
});

test("keeps the request id that it is given", async () => {
  gateway = await startScriptedGateway({ send: [accept] });
  await sendMessage({ client: gateway.client, request: { ...request, requestId: "mine" }, random });
  expect(gateway.sends[0]?.requestId).toBe("mine");
});

test("gives up after eight tries", async () => {
  gateway = await startScriptedGateway({ send: [unavailable] });
  const sent = sendMessage({ client: gateway.client, request, random });
  await expect(sent).rejects.toMatchObject({ code: Code.Unavailable });
  expect(gateway.sends).toHaveLength(8);
});

test("does not repeat what the mesh refused", async () => {
  gateway = await startScriptedGateway({
    send: [
      async () => {
        throw meshError(Code.ResourceExhausted, "QUEUE_FULL");
      },
    ],
  });
  const sent = sendMessage({ client: gateway.client, request, random });
  await expect(sent).rejects.toMatchObject({ code: Code.ResourceExhausted });
  expect(gateway.sends).toHaveLength(1);
});

test("waits longer after every failure, up to 10 s", () => {
  const caps = [1, 2, 3, 7, 8, 50].map((failures) => backoffMs(failures, () => 1));
  expect(caps).toEqual([100, 200, 400, 6_400, 10_000, 10_000]);
  expect(backoffMs(8, () => 0.5)).toBe(5_000);
});
