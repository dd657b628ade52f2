// A peer, on a raw socket, that says goodbye in every way there is: the process of its caller lives, and the next call is
// made over a new connection.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { openHopSessions } from "./hop-sessions.ts";

function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

const settings = frame(4, 0, 0);
/** `:status: 200` of the static table, and the end of the stream. */
const answer = (streamId: number): Buffer => frame(1, 5, streamId, Buffer.from([0x88]));

function goaway(code: number, lastStreamId: number, words = ""): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStreamId, 0);
  payload.writeUInt32BE(code, 4);
  return frame(7, 0, 0, Buffer.concat([payload, Buffer.from(words)]));
}

/** Answers every request with 200, unless told to stay silent. */
async function servePeer() {
  const sockets: Socket[] = [];
  const peer = { url: "", sockets, isSilent: false };
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
    socket.write(settings);
    let bytes = Buffer.alloc(0);
    let isPrefaced = false;
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isPrefaced && bytes.length >= 24) {
        bytes = bytes.subarray(24);
        isPrefaced = true;
      }
      while (isPrefaced && bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
        const type = bytes.readUInt8(3);
        const streamId = bytes.readUInt32BE(5);
        const isAcknowledged = (bytes.readUInt8(4) & 1) !== 0;
        if (type === 4 && !isAcknowledged) socket.write(frame(4, 1, 0));
        if (type === 1 && !peer.isSilent) socket.write(answer(streamId));
        bytes = bytes.subarray(9 + bytes.readUIntBE(0, 3));
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  peer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return peer;
}

async function call(hop: ReturnType<typeof openHopSessions>): Promise<unknown> {
  const stream = await hop.request("POST", "/", {}, {});
  const [headers] = await once(stream.end().resume(), "response");
  return headers[":status"];
}

const goodbyes: Readonly<Record<string, (socket: Socket) => void>> = {
  "GOAWAY without an error": (socket) => socket.write(goaway(0, 1)),
  "GOAWAY with PROTOCOL_ERROR": (socket) => socket.write(goaway(1, 1)),
  "GOAWAY with INTERNAL_ERROR, then the end": (socket) => socket.end(goaway(2, 1)),
  "GOAWAY with ENHANCE_YOUR_CALM": (socket) => socket.write(goaway(11, 1)),
  "GOAWAY with ENHANCE_YOUR_CALM, too_many_pings": (socket) => socket.write(goaway(11, 1, "too_many_pings")),
  "two GOAWAYs": (socket) => socket.write(Buffer.concat([goaway(0, 1), goaway(2, 1)])),
  "GOAWAY that no stream was before": (socket) => socket.write(goaway(2, 0)),
  "a frame that breaks the protocol": (socket) => socket.write(frame(0, 0, 0, Buffer.from("x"))),
  "the end of the connection": (socket) => socket.end(),
  "a reset of the connection": (socket) => socket.resetAndDestroy(),
};

describe(`a peer that says goodbye ${verifies("F2")}`, () => {
  it.each(Object.entries(goodbyes))("%s, on an idle connection", async (_name, say) => {
    const peer = await servePeer();
    const hop = openHopSessions(peer.url);
    expect(await call(hop)).toBe(200);
    const [first] = peer.sockets;
    if (first === undefined) throw new Error("no connection");
    say(first);
    // What nobody listens to would be an uncaught error in these moments, and fail this file.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expect.poll(() => call(hop).catch(String)).toBe(200);
    expect(peer.sockets).toHaveLength(2);
  });

  it.each(Object.entries(goodbyes))("%s, before anything is answered", async (_name, say) => {
    const peer = await servePeer();
    peer.isSilent = true;
    const hop = openHopSessions(peer.url);
    const stream = await hop.request("POST", "/", {}, {});
    stream.on("error", () => undefined);
    stream.end().resume();
    await expect.poll(() => peer.sockets.length).toBe(1);
    const [first] = peer.sockets;
    if (first === undefined) throw new Error("no connection");
    say(first);
    await new Promise((resolve) => setTimeout(resolve, 100));
    peer.isSilent = false;
    first.destroy();
    await expect.poll(() => call(hop).catch(String)).toBe(200);
  });

  it.each(Object.entries(goodbyes))("%s, while the next call is made", async (_name, say) => {
    const peer = await servePeer();
    const hop = openHopSessions(peer.url);
    expect(await call(hop)).toBe(200);
    const [first] = peer.sockets;
    if (first === undefined) throw new Error("no connection");
    say(first);
    const calls = await Promise.all(Array.from({ length: 5 }, () => Promise.race([call(hop).catch(String), later()])));
    expect(calls).toHaveLength(5);
    first.destroy();
    await expect.poll(() => call(hop).catch(String)).toBe(200);
  });
});

/** A call on a connection that was ended in a friendly way may stay without an answer: its caller has a deadline. */
function later(): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, 500, "no answer yet"));
}
