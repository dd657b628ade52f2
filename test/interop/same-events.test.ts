// Everyone on one session at once: whatever the client, it sees the same events, and whoever says something is heard by all.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../requirements.ts";
import { type BufProtocol, bufCurl } from "./buf-curl-client.ts";
import { meshOfThisFile } from "./conversation-suite.ts";
import { answerOf, converseInChat, converseUnary, question, textMessage } from "./hold-conversation.ts";
import { nodeClient, nodeClients } from "./node-client.ts";
import { pythonClient } from "./python-client.ts";
import { generatePythonStubs } from "./python-stubs.ts";
import { expectSameEvents, readEvents, readLog } from "./same-events.ts";

const stubs = mkdtempSync(join(tmpdir(), "atoll-python-"));
const theMesh = meshOfThisFile();
beforeAll(() => generatePythonStubs(stubs));
afterAll(() => rmSync(stubs, { recursive: true, force: true }));

const bufProtocols: readonly BufProtocol[] = ["connect", "grpc", "grpcweb"];

describe("one session, every client", () => {
  test(`all see the same events while three of them talk at once ${verifies("S1", "S6", "L3")}`, async () => {
    const mesh = theMesh();
    const node = nodeClients.map((options) => nodeClient(options)(mesh));
    const buf = bufProtocols.map((protocol) => bufCurl({ protocol, http: "2" })(mesh));
    const python = pythonClient(stubs)(mesh);
    const sessionKey = `interop:${crypto.randomUUID()}`;
    const first = await converseUnary(python, sessionKey, question);

    // The first run has ended; each writer adds one.
    const writers = new Set([buf[1], node.find((each) => each.chat !== undefined), python]);
    const untilRuns = 1 + writers.size;
    const clients = [...node, ...buf, python];
    const chats = clients.filter((client) => client.chat !== undefined);
    const heard = await Promise.all(
      chats.map(async (client) => {
        const say = writers.has(client) ? [question] : [];
        return [client.name, await converseInChat(client, { sessionKey, say, untilRuns })] as const;
      }),
    );
    const log = await readLog(mesh, first.sessionId);
    const lastRunId = log.findLast(({ body }) => body.case === "runFinished")?.runId ?? "";
    const subscribed = await Promise.all(
      clients.map(async (client) => {
        const responses = await client.subscribe({ sessionId: first.sessionId, untilRunId: lastRunId });
        return [`${client.name} subscribed`, readEvents(responses)] as const;
      }),
    );

    const said = heard.flatMap(([, { runIds }]) => runIds);
    expect(new Set(said).size).toBe(writers.size);
    for (const runId of said) expect(answerOf(log, runId)).toContain("Buy a boat.");
    expect(heard).toHaveLength(10);
    expect(subscribed).toHaveLength(14);
    const chatted = heard.map(([name, { events }]) => [`${name} in Chat`, events] as const);
    expectSameEvents({ log, ...Object.fromEntries([...chatted, ...subscribed]) });
  });

  test(`a request_id means the same through every client ${verifies("R1")}`, async () => {
    const mesh = theMesh();
    const request = {
      requestId: crypto.randomUUID(),
      sessionKey: `interop:${crypto.randomUUID()}`,
      message: textMessage("hello"),
    };
    const clients = [
      ...bufProtocols.map((protocol) => bufCurl({ protocol, http: "2" })(mesh)),
      ...nodeClients.map((options) => nodeClient(options)(mesh)),
      pythonClient(stubs)(mesh),
    ];
    const answers = await Promise.all(clients.map((client) => client.sendMessage(request)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });
});

describe("the check itself", () => {
  const event = (seq: bigint, text: string, firstSeq = seq): Event =>
    create(EventSchema, { firstSeq, seq, body: { case: "textDelta", value: { blockId: "1.1.0", text } } });
  const good = [event(1n, "a"), event(2n, "b"), event(3n, "c")];

  test.each<[string, readonly Event[]]>([
    ["a lost event", [event(1n, "a"), event(3n, "c")]],
    ["a lost end", good.slice(0, 2)],
    ["a repeated event", [event(1n, "a"), event(1n, "a"), event(2n, "b"), event(3n, "c")]],
    ["another order", [event(2n, "b"), event(1n, "a"), event(3n, "c")]],
    ["another body", [event(1n, "a"), event(2n, "B"), event(3n, "c")]],
    ["another range", [event(1n, "a"), event(3n, "c", 2n)]],
  ])("notices %s", (_, bad) => {
    expect(() => expectSameEvents({ good, bad })).toThrow();
    expect(() => expectSameEvents({ bad, good })).toThrow();
  });

  test("notices a gap that everyone has", () => {
    const gap = [event(1n, "a"), event(3n, "c")];
    expect(() => expectSameEvents({ gap, same: gap })).toThrow("has a gap");
  });

  test("accepts equals and refuses to compare with nothing", () => {
    expectSameEvents({ good, same: [...good] });
    expect(() => expectSameEvents({ good })).toThrow("nothing to compare with");
  });
});
