/**
 * Sends one message to an Atoll mesh and prints the answer as it comes.
 *
 * Usage: node client.ts "what does notes.md say?", with ATOLL_TOKEN and, if it is not 127.0.0.1:18789, ATOLL_ADDRESS.
 */
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Event } from "./gen/atoll/event/v1/event_pb.ts";
import { RunStatusSchema } from "./gen/atoll/event/v1/run_events_pb.ts";
import { GatewayService } from "./gen/atoll/gateway/v1/gateway_service_pb.ts";

// biome-ignore lint/style/noProcessEnv: this program has no configuration beside its environment.
const { ATOLL_ADDRESS = "127.0.0.1:18789", ATOLL_TOKEN = "" } = process.env;
const [text = "hello"] = process.argv.slice(2);

const authorize: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${ATOLL_TOKEN}`);
  return next(request);
};
const transport = createConnectTransport({
  baseUrl: `http://${ATOLL_ADDRESS}`,
  httpVersion: "2",
  useBinaryFormat: true,
  interceptors: [authorize],
  // The program ends when its connection does.
  idleConnectionTimeoutMs: 100,
});
const gateway = createClient(GatewayService, transport);

// The same request id gets the same answer again: keep it when a call must be repeated.
const { sessionId, runId } = await gateway.sendMessage({
  requestId: crypto.randomUUID(),
  message: { content: [{ block: { case: "text", value: { text } } }] },
});

// When the stream breaks: subscribe again with afterSeq: seq.
let seq = 0n;
for await (const { events } of gateway.subscribe({ sessionId, untilRunId: runId })) {
  for (const event of events) {
    if (event.firstSeq !== seq + 1n) throw new Error(`events between ${seq} and ${event.firstSeq} are missing`);
    seq = event.seq;
    show(event);
  }
}
process.stdout.write(`\nsession ${sessionId}, ${seq} events\n`);

function show({ body }: Event): void {
  switch (body.case) {
    case "textDelta":
      process.stdout.write(body.value.text);
      break;
    case "toolCallProposed":
      process.stdout.write(`\n[calls ${body.value.tool}]\n`);
      break;
    case "runFinished":
      process.stdout.write(`\n[${RunStatusSchema.value[body.value.status]?.name}]\n`);
      break;
    default:
  }
}
