/** `atoll chat`: send a message and show the answer as it comes. */
import { ConnectError, createClient } from "@connectrpc/connect";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { GatewayService, type SendMessageResponse } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { sendMessage } from "../../web/client/send-message.ts";
import { subscribeEvents } from "../../web/client/subscribe.ts";
import { newId } from "../kernel/id.ts";
import { type Command, type CommandInput, type Output, UsageError } from "./command.ts";
import { connectMesh } from "./connect-mesh.ts";
import { describeFailure } from "./describe-failure.ts";
import { EventPrinter } from "./event-printer.ts";
import { type LineHistory, promptLine } from "./prompt-line.ts";

const defaultKey = "agent:main:cli";

export const chat: Command = {
  usage: '["MESSAGE"] [--to SESSION]',
  summary: "Send a message and show the answer as it comes; without one, talk until Ctrl-D; Ctrl-C cancels an answer.",
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
  input.output.note("Talk to the mesh; Ctrl-C cancels an answer, Ctrl-D ends.");
  const history: LineHistory = [];
  for (;;) {
    const message = await promptLine("\n> ", history);
    if (message === undefined) return 0;
    if (message.trim() !== "") await sendOne(client, message, input);
  }
}

async function sendOne(client: Gateway, text: string, { flags, output }: CommandInput): Promise<number> {
  const to = flags.to ?? defaultKey;
  const sent = sendMessage({
    client,
    request: {
      session: to.startsWith("ses_") ? { case: "sessionId", value: to } : { case: "sessionKey", value: to },
      message: { content: [{ block: { case: "text", value: { text } } }], origin: { channel: "cli" } },
      ...(flags.model === undefined ? {} : { options: { model: flags.model } }),
    },
  });
  const stopCancelling = cancelOnInterrupt(client, sent, output);
  try {
    return await showAnswer(client, await sent, { flags, output });
  } finally {
    stopCancelling();
  }
}

/** Resolves to the exit code when the run has ended. */
async function showAnswer(
  client: Gateway,
  { sessionId, runId, seq, logId }: SendMessageResponse,
  { flags, output }: Pick<CommandInput, "flags" | "output">,
): Promise<number> {
  const printer = new EventPrinter(output, flags.json === true);
  let status: RunStatus = RunStatus.UNSPECIFIED;
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
  return status === RunStatus.COMPLETED ? 0 : 1;
}

/** The first Ctrl-C cancels the run, as soon as there is one; the second one leaves. */
function cancelOnInterrupt(client: Gateway, sent: Promise<SendMessageResponse>, output: Output): () => void {
  const cancel = (): void => {
    output.note("\n(cancelling; Ctrl-C once more leaves)");
    sent.then(
      ({ runId }) =>
        client
          .cancelRun({ requestId: newId("req"), runId })
          .catch((error: unknown) => output.note(describeFailure(ConnectError.from(error)))),
      () => {}, // Without a run there is nothing to cancel; sendOne says why there is none.
    );
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
