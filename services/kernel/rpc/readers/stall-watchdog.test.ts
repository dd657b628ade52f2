// Real sockets: peers that stop reading in the middle of an answer, beside peers that read, that are slow and that idle.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type ClientHttp2Stream,
  constants,
  type Http2ServerRequest,
  type Http2ServerResponse,
  connect as http2Connect,
} from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { type Edge, kindsOf, openEdge, openRawPeer } from "../edge/edge.fixture.ts";
import type { ListenerLimits } from "../listener/listener-limits.ts";
import { placeOf } from "./reader-place.ts";

const stallMs = 400;
const chunk = Buffer.alloc(16_384, "x");
/** Together more than the kernel and HTTP/2 windows take on by themselves. */
const endless = 1_600;
/** Waited for three times as long as a smaller one: what was taken of it can't be seen. */
const wholeBytes = 393_216;

interface Served {
  readonly edge: Edge;
  /** What each answer was held for and is released: paths, in the order in which they were closed. */
  readonly released: string[];
}

/**
 * `/endless` is more than anybody buffers, `/whole` is written in one piece, as the answer of a unary call is, `/trickle` a
 * few bytes now and then, `/idle` says one word and then nothing.
 */
async function serve(limits: Partial<ListenerLimits> = {}): Promise<Served> {
  const released: string[] = [];
  const write = async (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): Promise<void> => {
    const path = request.url ?? "";
    const closed = once(response, "close").then(() => "closed" as const);
    const send = async (data: Buffer): Promise<"closed" | "sent"> =>
      (response as ServerResponse).write(data)
        ? "sent"
        : Promise.race([once(response, "drain").then(() => "sent" as const), closed]);
    try {
      if (path === "/whole") return void (await send(Buffer.alloc(wholeBytes)));
      for (let count = 0; count < (path === "/endless" ? endless : path === "/trickle" ? 20 : 1); count++) {
        if ((await send(path === "/endless" ? chunk : Buffer.from("word "))) === "closed") return;
        placeOf(request).sessionId = "ses_1";
        placeOf(request).seq = count + 1;
        if (path === "/trickle") await sleep(stallMs / 8);
      }
      if (path === "/idle") await closed;
      response.end();
    } finally {
      released.push(path);
    }
  };
  const edge = await openEdge(
    { readerStallTimeoutMs: stallMs, ...limits },
    { onRequest: (request, response) => void write(request, response) },
  );
  return { edge, released };
}

function openStreams({ edge }: Served) {
  const session = http2Connect(edge.listener.url);
  onTestFinished(() => session.destroy());
  return (path: string): ClientHttp2Stream => {
    const stream = session.request({ ":path": path });
    stream.on("error", () => undefined);
    return stream;
  };
}

async function readAll(stream: AsyncIterable<Buffer>, pauseMs = 0): Promise<number> {
  let bytes = 0;
  for await (const data of stream) {
    bytes += data.length;
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return bytes;
}

describe(`a reader that takes nothing ${verifies("L7", "L9")}`, () => {
  it("loses its stream on HTTP/2, and the connection's other streams go on", async () => {
    const served = await serve();
    const open = openStreams(served);
    // It takes the window of the whole connection, so that the other one is starved from the beginning.
    const stalled = open("/endless");
    const beside = readAll(open("/endless"));
    const [headers] = await once(stalled, "response");
    expect(headers[":status"]).toBe(200);
    await once(stalled, "close");
    expect(stalled.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(await beside).toBe(endless * chunk.length);
    expect(served.released.sort()).toEqual(["/endless", "/endless"]);
    expect(served.edge.faults).toMatchObject([
      {
        kind: "READER_STALLED",
        remoteAddress: "127.0.0.1",
        count: 1,
        detail: expect.stringMatching(
          /^\/endless: \d+ bytes not taken for 400 ms; session ses_1 was written up to \d+$/,
        ),
      },
    ]);
  });

  it("loses it in the same way when more is unread than one caller may leave so", async () => {
    const served = await serve({ readerStallTimeoutMs: 60_000, maxUnreadBytesPerAddress: wholeBytes / 2 });
    const open = openStreams(served);
    const stalled = open("/whole");
    await once(stalled, "close");
    expect(stalled.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(kindsOf(served.edge.faults)).toEqual(["READER_STALLED"]);
    expect(await readAll(open("/trickle"))).toBe(100);
  });

  it("loses its connection on HTTP/1.1", async () => {
    const served = await serve();
    const peer = await openRawPeer(served.edge);
    peer.socket.write("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    peer.socket.pause();
    await expect.poll(() => served.released).toEqual(["/endless"]);
    await expect.poll(() => served.edge.listener.connections()).toBe(0);
    expect(kindsOf(served.edge.faults)).toEqual(["READER_STALLED"]);
  });

  it("is let go also when its whole HTTP/2 connection takes nothing", async () => {
    const served = await serve();
    const peer = await openRawPeer(served.edge);
    // Preface, SETTINGS with a stream window of 2^31-1, WINDOW_UPDATE of the connection, GET /endless on stream 1.
    peer.socket.write(
      Buffer.concat([
        Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Buffer.from("0000060400000000000004" + "7fffffff", "hex"),
        Buffer.from("000004080000000000" + "7fff0000", "hex"),
        // :method GET, :scheme http, :path /endless, :authority localhost
        Buffer.from("00001701050000000182860408", "hex"),
        Buffer.from("/endless"),
        Buffer.from([0x01, 0x09]),
        Buffer.from("localhost"),
      ]),
    );
    peer.socket.pause();
    await expect.poll(() => served.released).toEqual(["/endless"]);
    expect(kindsOf(served.edge.faults)).toEqual(["READER_STALLED"]);
  });
});

describe(`a peer that takes nothing of many answers ${verifies("E8")}`, () => {
  it.each(["/endless", "/whole"])("is cut off as a whole soon after its first one: %s", async (path) => {
    const served = await serve();
    const session = http2Connect(served.edge.listener.url, { settings: { initialWindowSize: 0 } });
    onTestFinished(() => session.destroy());
    session.on("error", () => undefined);
    const streams = Array.from({ length: 20 }, () => session.request({ ":path": path }));
    for (const stream of streams) stream.on("error", () => undefined);
    await once(session, "close");
    const words = (): string[] => served.edge.faults.map(({ detail, count }) => `${count} ${detail}`);
    // Faults of one kind are told once a second.
    await expect
      .poll(words)
      .toEqual([
        expect.stringMatching(`^1 ${path}: `),
        expect.stringMatching(/^1 the peer takes nothing: \d+ bytes of 19 answers on one connection$/),
      ]);
    expect(served.released).toHaveLength(20);
  });

  it("and one whose other answers have nothing on their way loses no more than the one", async () => {
    const served = await serve();
    const open = openStreams(served);
    const idle = open("/idle").resume();
    const stalled = open("/endless");
    await once(stalled, "close");
    await sleep(stallMs * 2);
    expect(idle.closed).toBe(false);
    expect(kindsOf(served.edge.faults)).toEqual(["READER_STALLED"]);
  });
});

describe("nobody else is cut off", () => {
  it("not who reads slowly", async () => {
    const served = await serve();
    const slow = openStreams(served)("/endless");
    let reads = 0;
    for await (const _ of slow) {
      // In all more than five times as long as who takes nothing is waited for.
      await sleep(stallMs / 16);
      if (++reads === 96) break;
    }
    expect(reads).toBe(96);
    expect(kindsOf(served.edge.faults)).toEqual([]);
  });

  it("not who waits for an answer that idles or trickles", async () => {
    const served = await serve();
    const open = openStreams(served);
    const idle = open("/idle");
    let idleClosed = false;
    idle.once("close", () => {
      idleClosed = true;
    });
    idle.resume();
    expect(await readAll(open("/trickle"))).toBe(100);
    expect(idleClosed).toBe(false);
    expect(served.edge.faults).toEqual([]);
  });
});
