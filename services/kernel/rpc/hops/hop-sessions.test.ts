import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { hopWindows } from "../listener/listener-limits.ts";
import { openHopSessions } from "./hop-sessions.ts";

async function servePeer() {
  const sessions: ServerHttp2Session[] = [];
  const server = createServer((_request, response) => response.end("here"));
  server.on("session", (session) => {
    sessions.push(session);
    onTestFinished(() => session.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sessions };
}

describe("the connection to a peer", () => {
  it("lets a page go in one piece", async () => {
    const { url, sessions } = await servePeer();
    const hop = openHopSessions(url);
    const stream = await hop.request("POST", "/", {}, {});
    await once(stream.end().resume(), "close");
    const [session] = sessions;
    const answered = "here".length;
    await expect.poll(() => session?.state.remoteWindowSize).toBe(hopWindows.connectionBytes - answered);
    expect(session?.remoteSettings.initialWindowSize).toBe(hopWindows.streamBytes);
  });

  it("survives a peer that says goodbye while the next call is made", async () => {
    const { url, sessions } = await servePeer();
    const hop = openHopSessions(url);
    const stream = await hop.request("POST", "/", {}, {});
    const { session } = stream;
    await once(stream.end().resume(), "close");
    const next = new Promise<number | undefined>((resolve, reject) => {
      session?.once("goaway", () => {
        const call = async (): Promise<number | undefined> => {
          const again = await hop.request("POST", "/", {}, {});
          const [headers] = (await once(again.end().resume(), "response")) as [{ ":status"?: number }];
          return headers[":status"];
        };
        call().then(resolve, reject);
      });
    });
    sessions[0]?.goaway();
    expect(await next).toBe(200);
    await expect.poll(() => session?.destroyed).toBe(true);
    // What was never listened to would be an uncaught error by now.
    await new Promise((settle) => setImmediate(settle));
  });
});
