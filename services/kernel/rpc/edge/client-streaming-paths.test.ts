import { expect, it } from "vitest";
import { Health } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { reflectionServices } from "../discovery/reflection.ts";
import { clientStreamingPaths } from "./client-streaming-paths.ts";

it("names the methods where the client streams and no others", () => {
  const isClientStreaming = clientStreamingPaths([Health, ...reflectionServices]);
  expect(isClientStreaming("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")).toBe(true);
  expect(isClientStreaming("/grpc.health.v1.Health/Watch")).toBe(false);
  expect(isClientStreaming("/grpc.health.v1.Health/Check")).toBe(false);
  expect(isClientStreaming("/")).toBe(false);
});
