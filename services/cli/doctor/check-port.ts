/** Whether a mesh could listen where the configuration says, tried by listening for a moment. */
import { createServer } from "node:net";
import type { ListenAddress } from "../../kernel/config/resolved-config.ts";
import { formatListen } from "../../kernel/config/resolving/addresses.ts";
import type { Say } from "./findings.ts";

export async function checkPort(listen: ListenAddress, say: Say): Promise<void> {
  const where = formatListen(listen);
  const advice = "choose another with --listen or ATOLL_LISTEN";
  const code = await tryToListen(listen);
  if (code === undefined && listen.port === 0) say("port", "note", `port: ${where} takes a free one at each start`);
  else if (code === undefined) say("port", "ok", `port: ${where} is free`);
  else if (code === "EADDRINUSE") say("port", "wrong", `port: another program listens at ${where}: ${advice}`);
  else if (code === "EACCES") say("port", "wrong", `port: this user may not listen at ${where}: ${advice}`);
  else if (code === "EADDRNOTAVAIL") say("port", "wrong", `port: ${where} is no address of this machine: ${advice}`);
  else say("port", "wrong", `port: nobody can listen at ${where} (${code}): ${advice}`);
}

/** The code of what went wrong; undefined when it worked. */
function tryToListen({ host, port }: ListenAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
