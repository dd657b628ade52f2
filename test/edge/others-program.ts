/**
 * A caller with a token that asks again and again beside an attack, in a process and over a connection of its own, so that
 * what the attack costs the attacker is not counted. Arguments: the URL and the token. Says `ready` after its first answer;
 * when standard input ends, how long each answer took, in milliseconds, as a JSON list.
 */
import { createClient } from "@connectrpc/connect";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { transportTo } from "../support/mesh-process.ts";

const [url = "", token = ""] = process.argv.slice(2);
const client = createClient(SessionService, transportTo(url, token));
const waits: number[] = [];
let isOver = false;
process.stdin.resume().once("end", () => {
  isOver = true;
});
await client.countSessions({});
process.stdout.write("ready\n");
while (!isOver) {
  const startMs = performance.now();
  await client.countSessions({});
  waits.push(performance.now() - startMs);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
process.stdout.write(`${JSON.stringify(waits)}\n`, () => process.exit(0));
