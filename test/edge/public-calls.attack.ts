/**
 * What anybody may call, called as an attacker would: bombs, and streams that say nothing (rows 1 and 3 of the attacks).
 */

import { request as httpRequest } from "node:http";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test, vi } from "vitest";
import { HealthCheckRequestSchema } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflectionRequestSchema } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { envelopeHead, type Protocol, protocols, refusalOfRaw } from "../e2e/raw-calls.fixture.ts";
import { verifies } from "../requirements.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import { openHttp2, startTarget, watchMemory, watchOthers } from "./attack.fixture.ts";

// A mesh takes seconds to start on a busy machine, and the waits of the port are seconds too.
vi.setConfig({ testTimeout: 120_000 });

const check = "grpc.health.v1.Health/Check";
const reflect = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** 4 MiB of a message in 4 KiB: a name of one letter four million times. */
const plain = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service: "a".repeat(4_190_000) }));
const bomb = gzipSync(plain);
/** More than this nothing may grow by, whatever is sent. The attack made 2.9 to 6.1 GB of it. */
const maxGrowthBytes = 250_000_000;

/** Every stream of some connections at once; resolves when all have ended or 30 s have gone. */
async function attack(
  mesh: MeshProcess,
  connections: number,
  calls: number,
  send: (session: ClientHttp2Session, at: number) => ClientHttp2Stream,
): Promise<{ readonly ended: number; readonly statuses: ReadonlyMap<string, number> }> {
  const statuses = new Map<string, number>();
  let ended = 0;
  const ends = Array.from({ length: connections }, () => openHttp2(mesh)).flatMap((session) =>
    Array.from({ length: calls }, (_, at) => {
      const stream = send(session, at);
      stream.on("error", () => undefined);
      stream.resume();
      const note = (headers: Record<string, unknown>): void => {
        const status = String(headers["grpc-status"] ?? headers[":status"]);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      };
      stream.once("response", note);
      stream.once("trailers", note);
      return new Promise<void>((resolve) => {
        stream.once("close", () => {
          ended += 1;
          resolve();
        });
      });
    }),
  );
  await Promise.race([Promise.all(ends), new Promise((resolve) => setTimeout(resolve, 30_000).unref())]);
  return { ended, statuses };
}

function open(session: ClientHttp2Session, method: string, headers: Record<string, string>): ClientHttp2Stream {
  return session.request({ ":method": "POST", ":path": `/${method}`, te: "trailers", ...headers });
}

describe(`bombs for public calls ${verifies("E1", "F4")}`, () => {
  test("48 connections with 36 calls each of health and reflection cost no memory and nobody's time", async () => {
    const mesh = await startTarget();
    const growthOf = watchMemory(mesh.processOf("mesh").pid);
    const others = await watchOthers(mesh);
    const { ended } = await attack(mesh, 48, 36, (session, at) => {
      if (at % 2 === 0) {
        const stream = open(session, check, {
          "content-type": "application/proto",
          "content-encoding": "gzip",
          "connect-protocol-version": "1",
        });
        return stream.end(bomb);
      }
      const stream = open(session, reflect, { "content-type": "application/grpc+proto", "grpc-encoding": "gzip" });
      return stream.end(Buffer.concat([envelopeHead(bomb.length, 1), bomb]));
    });
    const waits = await others.stop();
    const growth = growthOf();
    console.info(`bombs: ${ended} ended, memory +${Math.round(growth / 1e6)} MB, others ${JSON.stringify(waits)}`);
    expect(growth).toBeLessThan(maxGrowthBytes);
    // On a machine at rest they wait well under 200 ms; a busy one is not to fail this.
    expect(waits.max).toBeLessThan(30_000);
    // Whoever is known is served as before.
    await expect(watchOthers(mesh).then((again) => again.stop())).resolves.toBeDefined();
  });

  test("the same without compression: 4 MiB each are refused after 4 KiB", async () => {
    const mesh = await startTarget();
    const growthOf = watchMemory(mesh.processOf("mesh").pid);
    const { ended } = await attack(mesh, 16, 36, (session) => {
      const stream = open(session, check, { "content-type": "application/proto", "connect-protocol-version": "1" });
      return stream.end(plain);
    });
    const growth = growthOf();
    console.info(`4 MiB each: ${ended} of 576 ended, memory +${Math.round(growth / 1e6)} MB`);
    expect(growth).toBeLessThan(maxGrowthBytes);
  });

  test.each(protocols)(
    "%s: nothing compressed is taken, whatever the encoding, and nothing over 4 KiB",
    async (protocol) => {
      const mesh = await startTarget();
      const call = { url: mesh.url, method: check, protocol: protocol as Protocol };
      for (const [encoding, message] of [
        ["gzip", bomb],
        ["br", brotliCompressSync(plain)],
        ["deflate", deflateSync(plain)],
      ] as const) {
        const name = protocol === "connect" ? "content-encoding" : "grpc-encoding";
        const refusal = await refusalOfRaw({ ...call, message, headers: { [name]: encoding } });
        expect(refusal, encoding).toMatchObject({ code: "Unimplemented", reason: "COMPRESSION_REFUSED" });
      }
      expect(await refusalOfRaw({ ...call, message: plain })).toMatchObject({ reason: "MESSAGE_TOO_LARGE" });
      // The flag of a message that says compressed where no encoding was agreed on.
      if (protocol !== "connect") {
        const openBytes = Buffer.concat([envelopeHead(bomb.length, 1), bomb.subarray(0, 3_000)]);
        await expect(refusalOfRaw({ ...call, message: bomb, openBytes })).resolves.toBeDefined();
      }
    },
  );

  test("a stream of reflection answers no more than its share of questions", async () => {
    const mesh = await startTarget();
    const session = openHttp2(mesh);
    const stream = open(session, reflect, { "content-type": "application/grpc+proto" });
    const question = toBinary(
      ServerReflectionRequestSchema,
      create(ServerReflectionRequestSchema, {
        messageRequest: { case: "fileContainingSymbol", value: "atoll.session.v1.SessionService" },
      }),
    );
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on("error", () => undefined);
    const trailers = new Promise<Record<string, unknown>>((resolve) => stream.once("trailers", resolve));
    const one = Buffer.concat([envelopeHead(question.length), question]);
    for (let count = 0; count < 2_000; count += 1) stream.write(one);
    expect(await trailers).toMatchObject({ "grpc-status": "8" });
    expect(bytes).toBeLessThan(20_000_000);
  });
});

describe(`public streams that say nothing ${verifies("E3", "F4")}`, () => {
  test("end after 10 s with a reason, and all of an address together are few", async () => {
    const mesh = await startTarget();
    const growthOf = watchMemory(mesh.processOf("mesh").pid);
    const startMs = performance.now();
    const { ended, statuses } = await attack(mesh, 40, 100, (session, at) =>
      at % 2 === 0
        ? open(session, reflect, { "content-type": "application/grpc+proto" })
        : open(session, reflect, { "content-type": "application/connect+proto", "connect-protocol-version": "1" }),
    );
    const growth = growthOf();
    const inMs = Math.round(performance.now() - startMs);
    console.info(
      `silent streams: ${ended} of 4000 ended in ${inMs} ms, memory +${Math.round(growth / 1e6)} MB, ${JSON.stringify([...statuses])}`,
    );
    expect(ended).toBe(4_000);
    expect(growth).toBeLessThan(maxGrowthBytes);
  });

  test.each([
    [
      "health, whose watch has no end, is bounded by its places",
      "grpc.health.v1.Health/Watch",
      Buffer.from(envelopeHead(0)),
    ],
    ["the beginning of a message that does not go on", reflect, envelopeHead(100)],
    ["the old version of reflection", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", undefined],
  ])("%s", async (_name, method, bytes) => {
    const mesh = await startTarget();
    const session = openHttp2(mesh);
    const outcomes = await Promise.all(
      Array.from({ length: 80 }, async () => {
        const stream = open(session, method, { "content-type": "application/grpc+proto" });
        stream.on("error", () => undefined);
        if (bytes !== undefined) stream.write(bytes);
        if (method.endsWith("Watch")) stream.end();
        return new Promise<unknown>((resolve) => {
          stream.once("data", () => resolve("watching"));
          stream.once("trailers", (trailers) => resolve(trailers["grpc-status"]));
          stream.once("close", () => resolve("closed"));
        });
      }),
    );
    const count = (outcome: unknown): number => outcomes.filter((each) => each === outcome).length;
    expect(count("8")).toBe(16);
    expect(count(method.endsWith("Watch") ? "watching" : "4")).toBe(64);
  });

  test("a stream of a known caller has its 10 s as well", async () => {
    const mesh = await startTarget();
    const methods = ["atoll.gateway.v1.GatewayService/Chat", "atoll.session.v1.SessionService/Watch"];
    const refusals = methods.map((method) =>
      refusalOfRaw({
        ...{ url: mesh.url, token: mesh.token, method, protocol: "grpc", isStream: true, message: new Uint8Array() },
        openBytes: new Uint8Array(),
        answerTimeoutMs: 40_000,
      }),
    );
    const late = { code: "DeadlineExceeded", reason: "DEADLINE_EXCEEDED" };
    expect(await Promise.all(refusals)).toMatchObject([late, late]);
  });

  test("a body that drips is cut off, over HTTP/1.1 as well", async () => {
    const mesh = await startTarget();
    const { hostname, port } = new URL(mesh.url);
    const call = httpRequest({
      ...{ hostname, port, method: "POST", path: `/${check}` },
      headers: { "content-type": "application/json", "connect-protocol-version": "1", "transfer-encoding": "chunked" },
    });
    const over = new Promise<string>((resolve) => {
      call.once("error", () => resolve("cut"));
      call.once("response", ({ statusCode }) => resolve(String(statusCode)));
    });
    const drip = setInterval(() => call.write(" "), 500);
    expect(["cut", "408"]).toContain(await over);
    clearInterval(drip);
  });
});
