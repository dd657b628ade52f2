import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { FaultProxy } from "./fault-proxy.ts";

/** A service that says what the test tells it, and a client that hears it through the proxy. */
async function openPair() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await new FaultProxy("test", (server.address() as AddressInfo).port).listen();
  const near = connect(proxy.port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  onTestFinished(async () => {
    near.destroy();
    far.destroy();
    server.close();
    await proxy.close();
  });
  let heard = "";
  near.on("data", (bytes: Buffer) => {
    heard += bytes.toString();
  });
  const say = async (words: string) => {
    far.write(words);
    await new Promise((settle) => setTimeout(settle, 50));
  };
  await say("a");
  return { proxy, say, heard: () => heard };
}

describe("a connection through the fault proxy", () => {
  it("says everything after darkness", async () => {
    const { proxy, say, heard } = await openPair();
    proxy.dark();
    await say("b");
    expect(heard()).toBe("a");
    proxy.light();
    await say("c");
    expect(heard()).toBe("abc");
  });

  it("says everything once after two darknesses, of which one began in the other", async () => {
    const { proxy, say, heard } = await openPair();
    proxy.dark();
    await say("b");
    proxy.dark();
    await say("c");
    proxy.light();
    await say("d");
    expect(heard()).toBe("a");
    proxy.light();
    await say("e");
    expect(heard()).toBe("abcde");
  });

  it("says nothing any more once a part was swallowed, also when darkness over it ends", async () => {
    const { proxy, say, heard } = await openPair();
    proxy.mute();
    await say("b");
    proxy.dark();
    await say("c");
    proxy.light();
    await say("d");
    expect(heard()).toBe("a");
    expect(proxy.cut()).toBe(1);
  });

  it("says nothing any more when it is muted in darkness", async () => {
    const { proxy, say, heard } = await openPair();
    proxy.dark();
    proxy.mute();
    await say("b");
    proxy.light();
    await say("c");
    expect(heard()).toBe("a");
  });
});
