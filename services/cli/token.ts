/** `atoll token`: the token of local programs, or a one-time link to the page. */
import { createClient } from "@connectrpc/connect";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import type { Command } from "./command.ts";
import { connectMesh, readLocalToken } from "./connect-mesh.ts";

export const token: Command = {
  usage: "[--link]",
  summary: "Print the token of local programs, or a one-time link to the web page.",
  flags: ["link", "url"],
  async run(input) {
    if (input.flags.link !== true) {
      input.output.line(readLocalToken(input.config()));
      return 0;
    }
    const { url } = await createClient(AdminService, connectMesh(input)).createLink({});
    input.output.line(url);
    return 0;
  },
};
