// What the processes of a split mesh grant to who calls them: strangers at the gateway, one another elsewhere.
import { connect, type Settings } from "node:http2";
import { expect, onTestFinished, test } from "vitest";
import { verifies } from "../requirements.ts";
import { startMeshProcess } from "../support/mesh-process.ts";

/** Streams that one connection may have there. */
async function streamsGrantedBy(url: string): Promise<number | undefined> {
  const session = connect(url);
  onTestFinished(() => session.destroy());
  const settings = await new Promise<Settings>((resolve, reject) => {
    session.once("remoteSettings", resolve);
    session.once("error", reject);
  });
  return settings.maxConcurrentStreams;
}

test(`a gateway holds strangers to their streams, and services grant one another more ${verifies("L7")}`, async () => {
  const running = await startMeshProcess({ topology: "split" });
  onTestFinished(() => running.stop());
  expect(await streamsGrantedBy(running.url)).toBe(100);
  expect(await streamsGrantedBy(running.processOf("session").url)).toBe(4_096);
  expect(await streamsGrantedBy(running.processOf("toolrouter").url)).toBe(4_096);
}, 120_000);
