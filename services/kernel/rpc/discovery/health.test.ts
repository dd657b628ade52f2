import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { createHealthService } from "./health.ts";
import { createHealthBoard, wholeProcess } from "./health-board.ts";

function openHealth(maxWatchers = 10) {
  const board = createHealthBoard({ maxWatchers });
  board.set(wholeProcess, "serving");
  board.set("atoll.test.v1.One", "serving");
  const transport = createRouterTransport(({ service }) => void service(Health, createHealthService(board)));
  return { board, client: createClient(Health, transport) };
}

describe("Check", () => {
  it("answers the status of a service and of the whole process", async () => {
    const { board, client } = openHealth();
    board.set("atoll.test.v1.One", "not_serving");
    expect((await client.check({ service: "atoll.test.v1.One" })).status).toBe(Status.NOT_SERVING);
    expect((await client.check({})).status).toBe(Status.SERVING);
  });

  it("answers NOT_FOUND for a service that is not served", async () => {
    const { client } = openHealth();
    await expect(client.check({ service: "atoll.test.v1.Two" })).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe("List", () => {
  it("answers every service on the board", async () => {
    const { board, client } = openHealth();
    board.setAll("not_serving");
    board.set("atoll.test.v1.One", "serving");
    const { statuses } = await client.list({});
    expect(Object.entries(statuses).map(([name, { status }]) => [name, status])).toEqual([
      ["", Status.NOT_SERVING],
      ["atoll.test.v1.One", Status.SERVING],
    ]);
  });
});

describe("Watch", () => {
  it("shows the current status, then each change, and a service that appears later", async () => {
    const { board, client } = openHealth();
    const stream = client.watch({ service: "atoll.test.v1.Two" })[Symbol.asyncIterator]();
    const next = async () => (await stream.next()).value?.status;
    expect(await next()).toBe(Status.SERVICE_UNKNOWN);
    board.set("atoll.test.v1.Two", "serving");
    expect(await next()).toBe(Status.SERVING);
    // Setting the same again is no change.
    board.set("atoll.test.v1.Two", "serving");
    board.set("atoll.test.v1.Two", "not_serving");
    expect(await next()).toBe(Status.NOT_SERVING);
  });

  it("refuses watches over its bound and takes another when one has ended", async () => {
    const { client } = openHealth(1);
    const abort = new AbortController();
    const first = client.watch({}, { signal: abort.signal })[Symbol.asyncIterator]();
    await first.next();
    const openAnother = () => client.watch({})[Symbol.asyncIterator]().next();
    await expect(openAnother()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    abort.abort();
    await expect(first.next()).rejects.toMatchObject({ code: Code.Canceled });
    await expect.poll(async () => (await openAnother().catch(() => undefined))?.value?.status).toBe(Status.SERVING);
  });

  it("ends when the board closes, after the last status", async () => {
    const { board, client } = openHealth();
    const stream = client.watch({})[Symbol.asyncIterator]();
    await stream.next();
    board.setAll("not_serving");
    board.close();
    expect((await stream.next()).value?.status).toBe(Status.NOT_SERVING);
    expect((await stream.next()).done).toBe(true);
  });
});
