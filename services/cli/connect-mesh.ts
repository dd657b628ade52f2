/** Reaches the mesh of a data folder with the token that its start-up made. */
import { readFileSync } from "node:fs";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { localTokenFile } from "../kernel/auth/mesh-secrets.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { connectPeer } from "../kernel/rpc/directory.ts";
import { addressFile } from "../mesh.ts";
import type { CommandInput } from "./command.ts";

/** There is no mesh to talk to; the message says how to start one. */
export class MeshNotRunning extends Error {
  override readonly name = "MeshNotRunning";
}

export function readLocalToken(config: ResolvedConfig): string {
  const token = readIfThere(localTokenFile(config.dataDir));
  if (token === undefined) {
    throw new MeshNotRunning(
      `no mesh has run with the data folder ${config.dataDir}: start one with \`npm start\`, or name another folder with --data`,
    );
  }
  return token;
}

/** Where the mesh is: --url, else what the running mesh wrote down, else where it would listen. */
export function meshUrl({ flags, config }: Pick<CommandInput, "flags" | "config">): string {
  if (flags.url !== undefined) return flags.url.replace(/\/+$/, "");
  const { dataDir, listen, tls } = config();
  const { host, port } = listen;
  return (
    readIfThere(addressFile(dataDir)) ??
    `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`
  );
}

export function connectMesh(input: Pick<CommandInput, "flags" | "config">): Transport {
  const token = readLocalToken(input.config());
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return connectPeer({ kind: "remote", url: meshUrl(input) }, authorize, {});
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
