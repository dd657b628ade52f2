/** `atoll tail`: a session's events, from the beginning or a seq, and what comes. */
import { createClient } from "@connectrpc/connect";
import { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { subscribeEvents } from "../../../web/client/subscribe.ts";
import { type Command, UsageError } from "../command.ts";
import { connectMesh } from "../connect-mesh.ts";
import { clientFlags } from "../flags.ts";
import { noMoreWords } from "../parse-command-line.ts";
import { EventPrinter } from "../printing/event-printer.ts";
import { defaultKey, getSession } from "../session-name.ts";

export const tail: Command = {
  usage: "[SESSION] [--after SEQ] [--follow]",
  summary: "Show a session's events with seq and time; with --follow, go on with what comes.",
  details: ["", `SESSION is an id (ses_…) or a key; default ${defaultKey}.`],
  flags: ["after", "follow", ...clientFlags],
  async run(input) {
    const { flags, output, words } = input;
    const [name = defaultKey, ...others] = words;
    noMoreWords("tail", others);
    const afterSeq = readSeq(flags.after);
    const transport = connectMesh(input);
    const session = await getSession(createClient(SessionService, transport), name);
    const headSeq = Number(session.headSeq);
    if (flags.follow !== true && headSeq <= afterSeq) return 0;
    const printer = new EventPrinter(output, flags.json === true);
    const client = createClient(GatewayService, transport);
    const cursor = { logId: session.logId, afterSeq };
    for await (const delivery of subscribeEvents({ client, sessionId: session.sessionId, cursor })) {
      if (delivery.kind === "startOver") {
        printer.startOver();
        output.note(`(the log starts over: ${delivery.message})`);
        continue;
      }
      for (const event of delivery.events) printer.print(event);
      const isAtEnd = flags.follow !== true && delivery.cursor.afterSeq >= headSeq;
      // What comes live is shown as it comes.
      if (isAtEnd || delivery.cursor.afterSeq >= delivery.headSeq) printer.flush();
      if (isAtEnd) return 0;
    }
    return 0;
  },
};

function readSeq(text: string | undefined): number {
  const seq = text === undefined ? 0 : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(seq)) return seq;
  throw new UsageError(`--after must be a whole number from 0, not ${text}`);
}
