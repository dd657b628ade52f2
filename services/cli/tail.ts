/** `atoll tail`: a session's events, from the beginning or a seq, and what comes. */
import { createClient } from "@connectrpc/connect";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { subscribeEvents } from "../../web/client/subscribe.ts";
import { type Command, type CommandInput, UsageError } from "./command.ts";
import { connectMesh } from "./connect-mesh.ts";
import { EventPrinter } from "./event-printer.ts";
import { sessionNamed } from "./session-name.ts";

const defaultKey = "agent:main:cli";

export const tail: Command = {
  usage: "[SESSION] [--after SEQ] [--follow]",
  summary: "Show a session's events; with --follow, go on with what comes.",
  flags: ["after", "follow", "json", "url"],
  async run(input) {
    const { flags, output } = input;
    const transport = connectMesh(input);
    const { session } = await createClient(SessionService, transport).getSession({ by: sessionOf(input) });
    if (session === undefined) return 1;
    const afterSeq = readSeq(flags.after);
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
      if (flags.follow !== true && delivery.cursor.afterSeq >= headSeq) return 0;
    }
    return 0;
  },
};

function sessionOf({ words, flags }: CommandInput) {
  return sessionNamed(words[0] ?? flags.to ?? defaultKey);
}

function readSeq(text: string | undefined): number {
  const seq = Number(text ?? "0");
  if (Number.isSafeInteger(seq) && seq >= 0) return seq;
  throw new UsageError(`--after must be a whole number from 0, not ${text}`);
}
