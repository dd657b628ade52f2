/** `atoll chat`: send a message and show the answer as it comes. */
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { AgentService } from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { GatewayService, type SendMessageResponse } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { sendMessage } from "../../../web/client/send-message.ts";
import { type ConnectionState, subscribeEvents } from "../../../web/client/subscribe.ts";
import { newId } from "../../kernel/id.ts";
import { type Command, type CommandInput, type Output, UsageError } from "../command.ts";
import { connectMesh, meshUrl } from "../connect-mesh.ts";
import { factsOf } from "../explain-failure.ts";
import { clientFlags } from "../flags.ts";
import { AnswerPrinter } from "../printing/answer-printer.ts";
import { defaultKey, recipientNamed } from "../session-name.ts";
import { createPromptMemory, promptLine } from "../terminal/prompt-line.ts";
import { readPipedText } from "../terminal/read-piped-text.ts";

export const chat: Command = {
  usage: '["MESSAGE"] [--to SESSION | --new]',
  summary: "Send a message and show the answer as it comes; without one, talk.",
  details: [
    "",
    'What is piped in stands behind the message: cat notes.md | atoll chat "summarise this".',
    "The answer goes to standard output, everything else to standard error. Exit code 1 when the run did not complete.",
    "In a conversation, Ctrl-C cancels an answer and Ctrl-D ends; what is pasted is one message.",
  ],
  flags: ["to", "new", "model", ...clientFlags],
  async run(input) {
    const { flags, words } = input;
    if (flags.to !== undefined && flags.new === true) {
      throw new UsageError("--to names a session and --new begins one without a name: give one of them");
    }
    const message = [words.join(" "), process.stdin.isTTY ? "" : await readPiped(input.output)]
      .filter((part) => part.trim() !== "")
      .join("\n\n");
    if (message === "" && !process.stdin.isTTY) {
      throw new UsageError("there is no message: write one behind `atoll chat`, or pipe one in");
    }
    const transport = connectMesh(input);
    const client = createClient(GatewayService, transport);
    await checkAgent(transport, flags.to);
    const place = recipientOf(input);
    return message === "" ? talk(client, place, input) : sendOne(client, place, message, input);
  },
};

/** How long the other side may be silent before a person is told who is waited for. */
const silentMs = 300;

async function readPiped(output: Output): Promise<string> {
  const say = () =>
    output.note("(waiting for the end of standard input; give `< /dev/null` when there is none)", "dim");
  const waiting = setTimeout(say, silentMs);
  try {
    return await readPipedText(process.stdin);
  } finally {
    clearTimeout(waiting);
  }
}

type Gateway = ReturnType<typeof createClient<typeof GatewayService>>;

/** Which session the messages of one conversation go to. */
interface Recipient {
  /** Undefined for one that is made by the first message. */
  name: string | undefined;
}

function recipientOf({ flags }: CommandInput): Recipient {
  return { name: flags.new === true ? undefined : (flags.to ?? defaultKey) };
}

/** A key makes its session: one of an agent that nobody has would be left behind by a message that can't be answered. */
async function checkAgent(transport: Transport, to: string | undefined): Promise<void> {
  const agentId = /^agent:([^:]+):/i.exec(to ?? "")?.[1]?.toLowerCase();
  if (agentId !== undefined) await createClient(AgentService, transport).getAgent({ agentId });
}

async function talk(client: Gateway, to: Recipient, input: CommandInput): Promise<number> {
  input.output.note("Talk to the mesh; Ctrl-C cancels an answer, Ctrl-D ends.");
  const memory = createPromptMemory();
  for (;;) {
    const message = await promptLine("\n> ", memory);
    if (message === undefined) return 0;
    if (message.trim() !== "") await sendOne(client, to, message, input);
  }
}

async function sendOne(client: Gateway, to: Recipient, text: string, input: CommandInput): Promise<number> {
  const { flags, output } = input;
  const sent = sendMessage({
    client,
    request: {
      ...(to.name === undefined ? {} : { session: recipientNamed(to.name) }),
      message: { content: [{ block: { case: "text", value: { text } } }], origin: { channel: "cli" } },
      ...(flags.model === undefined ? {} : { options: { model: flags.model } }),
    },
  });
  const waiting = setTimeout(() => output.note(`(waiting for the mesh at ${meshUrl(input)})`, "dim"), silentMs);
  const stopCancelling = cancelOnInterrupt(client, sent, output);
  try {
    const accepted = await sent;
    if (to.name === undefined) output.note(`(new session ${accepted.sessionId})`, "dim");
    to.name ??= accepted.sessionId;
    clearTimeout(waiting);
    return await showAnswer(client, accepted, { flags, output });
  } finally {
    clearTimeout(waiting);
    stopCancelling();
  }
}

/** Resolves to the exit code when the run has ended. */
async function showAnswer(
  client: Gateway,
  { sessionId, runId, seq, logId }: SendMessageResponse,
  { flags, output }: Pick<CommandInput, "flags" | "output">,
): Promise<number> {
  output.note("(accepted; waiting for the answer)", "dim");
  const printer = new AnswerPrinter(output, flags.json === true);
  let status: RunStatus = RunStatus.UNSPECIFIED;
  const cursor = { logId, afterSeq: Number(seq) - 1 };
  const onState = (state: ConnectionState): void => sayWait(state, output);
  for await (const delivery of subscribeEvents({ client, sessionId, cursor, untilRunId: runId, onState })) {
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
  if (status === RunStatus.UNSPECIFIED)
    output.note(`(the end of the run is not in the log any more; \`atoll tail ${sessionId}\` shows what is)`);
  return status === RunStatus.COMPLETED ? 0 : 1;
}

function sayWait(state: ConnectionState, output: Output): void {
  if (state.kind !== "waiting") return;
  const seconds = Math.max(1, Math.round(state.retryInMs / 1000));
  output.note(`(the connection broke: ${state.reason}; it is opened again within ${seconds} s)`, "dim");
}

/** The first Ctrl-C cancels the run, as soon as there is one; the second one leaves. */
function cancelOnInterrupt(client: Gateway, sent: Promise<SendMessageResponse>, output: Output): () => void {
  const cancel = (): void => {
    output.note("\n(cancelling; Ctrl-C once more leaves)");
    sent.then(
      ({ runId }) =>
        client
          .cancelRun({ requestId: newId("req"), runId })
          .catch((error: unknown) => output.failure(factsOf(ConnectError.from(error)))),
      () => {}, // Without a run there is nothing to cancel; sendOne says why there is none.
    );
  };
  process.once("SIGINT", cancel);
  return () => void process.off("SIGINT", cancel);
}
