/** What the environment says to commands that talk to a mesh, and to what they show. */
import type { Environment } from "./settings.ts";

export interface ClientEnvironment {
  /** ATOLL_URL: the mesh to talk to. Default: the one of the data folder. */
  readonly url: string | undefined;
  /** ATOLL_TOKEN: the token to talk to it with. Default: the one of the data folder, for a mesh that proves to be its own. */
  readonly token: string | undefined;
  /** No escape sequences: NO_COLOR is set to anything but nothing, or TERM is `dumb`. */
  readonly isPlain: boolean;
  /** The terminal takes no commands at all, only text: TERM is `dumb`. */
  readonly isDumb: boolean;
}

export function readClientEnvironment(env: Environment = process.env): ClientEnvironment {
  const isDumb = env["TERM"] === "dumb";
  return {
    url: env["ATOLL_URL"] || undefined,
    token: env["ATOLL_TOKEN"] || undefined,
    isPlain: isDumb || (env["NO_COLOR"] ?? "") !== "",
    isDumb,
  };
}
