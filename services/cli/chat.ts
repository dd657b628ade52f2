/** `atoll chat`: send a message and show the answer as it comes. */
import { createInterface } from "node:readline/promises";
import { createClient } from "@connectrpc/connect";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { sendMessage } from "../../web/client/send-message.ts";
import { subscribeEvents } from "../../web/client/subscribe.ts";
import { newId } from "../kernel/id.ts";
import { type Command, type CommandInput, type Output, UsageError } from "./command.ts";
import { connectMesh } from "./connect-mesh.ts";
import { EventPrinter } from "./event-printer.ts";

const defaultKey = "agent:main:cli";

export const chat: Command = {
  usage: '["MESSAGE"] [--to SESSION]',
  summary: "Send a message and show the answer as it comes; without one, talk until Ctrl-D.",
  flags: ["to", "model", "json", "url"],
  async run(input) {
    const client = createClient(GatewayService, connectMesh(input));
    const message = input.words.join(" ");
    if (message !== "") return sendOne(client, message, input);
    if (!process.stdin.isTTY) {
      const piped = await readAll(process.stdin);
      if (piped.trim() === "")
        throw new UsageError("there is no message: write one behind `atoll chat`, or pipe one in");
      return sendOne(client, piped, input);
    }
    return talk(client, input);
  },
};

type Gateway = ReturnType<typeof createClient<typeof GatewayService>>;

async function talk(client: Gateway, input: CommandInput): Promise<number> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  terminal.on("SIGINT", () => terminal.close());
  input.output.note("Talk to the mesh; Ctrl-D ends.");
  try {
    for (;;) {
      const message = await question(terminal);
      if (message === undefined) return 0;
      if (message.trim() !== "") await sendOne(client, message, input);
    }
  } finally {
    terminal.close();
  }
}

async function question(terminal: ReturnType<typeof createInterface>): Promise<string | undefined> {
  const ended = Promise.withResolvers<undefined>();
  const onClose = (): void => ended.resolve(undefined);
  terminal.once("close", onClose);
  try {
    return await Promise.race([terminal.question("\n> "), ended.promise]);
  } finally {
    terminal.off("close", onClose);
  }
}

async function sendOne(client: Gateway, text: string, { flags, output }: CommandInput): Promise<number> {
  const to = flags.to ?? defaultKey;
  const { sessionId, runId, seq, logId } = await sendMessage({
    client,
    request: {
      session: to.startsWith("ses_") ? { case: "sessionId", value: to } : { case: "sessionKey", value: to },
      message: { content: [{ block: { case: "text", value: { text } } }], origin: { channel: "cli" } },
      ...(flags.model === undefined ? {} : { options: { model: flags.model } }),
    },
  });
  const printer = new EventPrinter(output, flags.json === true);
  const stopCancelling = cancelOnInterrupt(client, runId, output);
  let status: RunStatus = RunStatus.UNSPECIFIED;
  try {
    const cursor = { logId, afterSeq: Number(seq) - 1 };
    for await (const delivery of subscribeEvents({ client, sessionId, cursor, untilRunId: runId })) {
      if (delivery.kind === "startOver") {
        printer.startOver();
        output.note(`(the log starts over: ${delivery.message})`);
        continue;
      }
      for (const event of delivery.events) {
        if (event.runId !== runId) continue;
        printer.print(event);
        if (event.body.case === "runFinished") ({ status } = event.body.value);
      }
    }
  } finally {
    stopCancelling();
  }
  return status === RunStatus.COMPLETED ? 0 : 1;
}

/** The first Ctrl-C cancels the run, the second one leaves. */
function cancelOnInterrupt(client: Gateway, runId: string, output: Output): () => void {
  const cancel = (): void => {
    output.note("\n(cancelling; Ctrl-C once more leaves)");
    client.cancelRun({ requestId: newId("req"), runId }).catch((error: unknown) => output.note(String(error)));
  };
  process.once("SIGINT", cancel);
  return () => void process.off("SIGINT", cancel);
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) text += String(chunk);
  return text;
}
