/** `atoll token`: the token of local programs, or a one-time link to the page. */

import { createClient } from "@connectrpc/connect";
import { AdminService } from "../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { newId } from "../../kernel/id.ts";
import { type Command, UsageError } from "../command.ts";
import { connectMesh, readLocalToken } from "../connect-mesh.ts";
import { clientFlags } from "../flags.ts";
import { noMoreWords } from "../parse-command-line.ts";

export const token: Command = {
  usage: "[--link]",
  summary: "Print the token of local programs, or a one-time link to the web page.",
  flags: ["link", ...clientFlags],
  async run(input) {
    const { output, flags, words } = input;
    noMoreWords("token", words);
    if (flags.link !== true) {
      if (flags.url !== undefined || flags.token !== undefined) {
        throw new UsageError("the token is that of the data folder; --url and --token go with --link");
      }
      const localToken = readLocalToken(input.config());
      if (flags.json === true) output.json(JSON.stringify({ token: localToken }));
      else output.line(localToken);
      return 0;
    }
    const { url } = await createClient(AdminService, connectMesh(input)).createLink({ requestId: newId("req") });
    if (flags.json === true) output.json(JSON.stringify({ url }));
    else output.line(url);
    return 0;
  },
};
