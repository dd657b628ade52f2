/** Programs that listen where a mesh is expected, and write down every byte that they are sent. */

import { once } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface Stranger {
  readonly port: number;
  readonly url: string;
  /** How many connections came. */
  readonly connections: () => number;
  /** Everything that was said to it: the bytes as they are, and the headers of HTTP/2, which are compressed, in words. */
  readonly heard: () => Promise<string>;
}

export type StrangerKind = "silent" | "http/1" | "http/2" | "echo" | "relay";

/** `port` 0 takes a free one; a relay hands everything on to the mesh at `meshPort`. */
export async function startStranger(kind: StrangerKind, { port = 0, meshPort = 0 } = {}): Promise<Stranger> {
  const received: Buffer[][] = [];
  const inner = await innerServer(kind);
  const server = createServer((socket) => {
    const bytes: Buffer[] = [];
    received.push(bytes);
    socket.on("data", (part) => bytes.push(part));
    socket.on("error", () => undefined);
    const target = kind === "relay" ? meshPort : inner?.port;
    if (target === undefined) return;
    const onward = connect(target, "127.0.0.1");
    onward.on("error", () => socket.destroy());
    socket.pipe(onward).pipe(socket);
    socket.once("close", () => onward.destroy());
  });
  const taken = await listen(server, port);
  onTestFinished(() => {
    server.close();
    inner?.close();
  });
  return {
    port: taken,
    url: `http://127.0.0.1:${taken}`,
    connections: () => received.length,
    async heard() {
      const said = await Promise.all(received.map((parts) => inWords(Buffer.concat(parts))));
      return said.join("\n");
    },
  };
}

async function innerServer(kind: StrangerKind) {
  if (kind === "silent" || kind === "relay") return undefined;
  const sessions = new Set<ServerHttp2Session>();
  const server =
    kind === "http/1"
      ? createHttp1Server((_request, response) => response.end("hello"))
      : createHttp2Server().on("session", (session) => sessions.add(session));
  if (kind === "http/2") {
    // An answer in the right form, of somebody who does not know the token.
    (server as ReturnType<typeof createHttp2Server>).on("stream", (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/proto" });
      stream.end(Buffer.concat([Buffer.from([0x0a, 32]), Buffer.alloc(32, 7)]));
    });
  }
  if (kind === "echo") {
    (server as ReturnType<typeof createHttp2Server>).on("stream", (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/proto" });
      stream.pipe(stream);
    });
  }
  server.on("error", () => undefined);
  const port = await listen(server as Server, 0);
  return {
    port,
    close() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** The bytes, and what an HTTP/2 server understands of them. */
async function inWords(bytes: Buffer): Promise<string> {
  const headers: string[] = [];
  const server = createHttp2Server();
  server.on("stream", (stream, received) => {
    headers.push(JSON.stringify(received));
    stream.on("error", () => undefined).resume();
  });
  server.on("sessionError", () => undefined);
  const port = await listen(server as unknown as Server, 0);
  const socket: Socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined).resume();
  socket.end(bytes);
  await once(socket, "close");
  server.close();
  return `${bytes.toString("latin1")}\n${headers.join("\n")}`;
}

/** That `heard` finds a token that is really sent: a canary for the canary. */
export async function sendToken(url: string, token: string): Promise<void> {
  const session = connectHttp2(url);
  session.on("error", () => undefined);
  const stream = session.request({ ":path": "/", authorization: `Bearer ${token}` });
  stream.on("error", () => undefined).resume();
  stream.end();
  await once(session, "remoteSettings").catch(() => undefined);
  session.destroy();
}
