/**
 * Reaches the mesh of a data folder with the token that its start-up made, or another mesh with a token that was given.
 *
 * Keeps: the token of the data folder is sent to nobody who has not proved to be the mesh of that folder, on the very
 * connection that it is sent on (kernel/auth/mesh-proof.ts): a mesh that has stopped leaves its port to anybody. A token
 * that was given together with an address goes there on the word of who gave it.
 */
import { readFileSync } from "node:fs";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { localTokenFile } from "../kernel/auth/mesh-secrets.ts";
import { readClientEnvironment } from "../kernel/config/client-environment.ts";
import { addressFile } from "../kernel/config/folders/data-dir.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { askForProof } from "../kernel/rpc/hops/ask-for-proof.ts";
import { connectWithToken } from "../kernel/rpc/hops/connect-with-token.ts";
import { type CommandInput, UsageError } from "./command.ts";
import { MeshNotRunning, MeshNotTrusted } from "./mesh-failures.ts";

type MeshInput = Pick<CommandInput, "flags" | "config">;

const howToStart = "start it with `npx --no atoll up`";

export function readLocalToken(config: ResolvedConfig): string {
  const token = readIfThere(localTokenFile(config.dataDir));
  if (token === undefined) {
    throw new MeshNotRunning(
      `no mesh has run with the data folder ${config.dataDir}: ${howToStart}, or name another folder with --data`,
    );
  }
  return token;
}

/** Where the mesh is: --url, else what the running mesh wrote down, else where it would listen. */
export function meshUrl({ flags, config }: MeshInput): string {
  const given = givenUrl(flags.url);
  if (given !== undefined) return given;
  const { dataDir, listen, tls } = config();
  const { host, port } = listen;
  return (
    readIfThere(addressFile(dataDir)) ??
    `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`
  );
}

/** Nothing is dialled before the first call. What it throws then says what to do (explain-failure.ts). */
export function connectMesh(input: MeshInput): Transport {
  const { flags, config } = input;
  const url = meshUrl(input);
  const isGiven = givenUrl(flags.url) !== undefined;
  const token = flags.token ?? readClientEnvironment().token;
  if (token !== undefined && !/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw new UsageError("--token must be a token as `atoll token` prints it, without spaces");
  }
  if (isGiven && token !== undefined) {
    return connectWithToken({ url, token, trust: async () => undefined, explain: (error) => error });
  }
  const { dataDir } = config();
  const localToken = readIfThere(localTokenFile(dataDir));
  if (localToken === undefined && isGiven) {
    throw new UsageError(`for ${url} give its token with ATOLL_TOKEN or --token: ${dataDir} holds none`);
  }
  const proofToken = localToken ?? readLocalToken(config());
  return connectWithToken({
    url,
    token: token ?? proofToken,
    async trust(session) {
      if (await askForProof(session, proofToken)) return;
      throw wrap(new MeshNotTrusted(describeStranger(url, dataDir, isGiven)), Code.FailedPrecondition);
    },
    explain(error, wasOpen) {
      if (wasOpen || (error instanceof ConnectError && error.cause instanceof MeshNotTrusted)) return error;
      const { cause, rawMessage } = ConnectError.from(error);
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
      const why = rawMessage || code;
      const isRefused = code === "ECONNREFUSED" || code === "EADDRNOTAVAIL";
      if (!isRefused && !isGiven) {
        return wrap(new MeshNotTrusted(describeStranger(url, dataDir, isGiven, why)), Code.FailedPrecondition);
      }
      const what = isRefused ? "" : ` (${why})`;
      return wrap(
        new MeshNotRunning(
          isGiven
            ? `nobody answers at ${url}${what}`
            : `no mesh of the data folder ${dataDir} runs, nobody answers at ${url}: ${howToStart}, or name another folder with --data`,
        ),
        Code.FailedPrecondition,
      );
    },
  });
}

function wrap(cause: Error, code: Code): ConnectError {
  return new ConnectError(cause.message, code, undefined, undefined, cause);
}

function describeStranger(url: string, dataDir: string, isGiven: boolean, why = ""): string {
  const who = `who answers at ${url} did not prove to be the mesh of the data folder ${dataDir}, and was sent no token${why === "" ? "" : ` (${why})`}`;
  return isGiven
    ? `${who}: if it is the mesh that you mean, give its token with ATOLL_TOKEN or --token`
    : `${who}: no mesh of this folder runs there, another program has its port. To start it elsewhere: \`npx --no atoll up --listen 127.0.0.1:0\``;
}

/** `--url` or ATOLL_URL, with a scheme and without a slash at its end. Throws UsageError. */
function givenUrl(flag: string | undefined): string | undefined {
  const text = flag ?? readClientEnvironment().url;
  if (text === undefined) return undefined;
  const name = flag === undefined ? "ATOLL_URL" : "--url";
  const written = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.parse(written);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    throw new UsageError(`${name} must be the address of a mesh, such as http://127.0.0.1:18789, not ${text}`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new UsageError(
      `${name} must be an address alone, such as https://mesh.example.com; a token goes into ATOLL_TOKEN`,
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
