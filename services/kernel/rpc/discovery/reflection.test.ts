import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { create, createFileRegistry, type DescService, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { Health } from "../../../../gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
} from "../../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { openEdge } from "../edge/edge.fixture.ts";
import { registerReflection } from "./reflection.ts";

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

/** One service of a proto that imports another and extends its options, as our own contracts do. */
function describeExtendingService(): DescService {
  const string = 9;
  const message = 11;
  const optional = 1;
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: "base.proto",
        package: "base",
        messageType: [{ name: "Base", extensionRange: [{ start: 100, end: 200 }] }],
        syntax: "proto2",
      },
      {
        name: "leaf.proto",
        package: "leaf",
        dependency: ["base.proto"],
        syntax: "proto2",
        extension: [150, 120].map((number) => ({
          name: `note${number}`,
          number,
          extendee: ".base.Base",
          type: string,
          label: optional,
        })),
        enumType: [{ name: "Colour", value: [{ name: "COLOUR_UNSPECIFIED", number: 0 }] }],
        messageType: [
          {
            name: "Leaf",
            field: [{ name: "base", number: 1, type: message, typeName: ".base.Base", label: optional, oneofIndex: 0 }],
            oneofDecl: [{ name: "choice" }],
            extension: [{ name: "inside", number: 130, extendee: ".base.Base", type: string, label: optional }],
            nestedType: [{ name: "Inner", enumType: [{ name: "Shape", value: [{ name: "ROUND", number: 0 }] }] }],
          },
        ],
        service: [
          { name: "LeafService", method: [{ name: "Grow", inputType: ".leaf.Leaf", outputType: ".leaf.Leaf" }] },
        ],
      },
    ],
  });
  const service = createFileRegistry(set).getService("leaf.LeafService");
  if (service === undefined) throw new Error("the descriptor set has no service");
  return service;
}

/** Asks over one stream and returns the answers in order. */
async function ask(questions: readonly Question[], services: readonly DescService[] = [describeExtendingService()]) {
  const transport = createRouterTransport((router) => registerReflection(router, services));
  async function* requests() {
    for (const messageRequest of questions) yield { host: "h", messageRequest };
  }
  const responses = [];
  for await (const response of createClient(ServerReflection, transport).serverReflectionInfo(requests())) {
    expect(response.validHost).toBe("h");
    responses.push(response.messageResponse);
  }
  return responses;
}

function filesOf(response: Awaited<ReturnType<typeof ask>>[number] | undefined): FileDescriptorProto[] {
  if (response?.case !== "fileDescriptorResponse") throw new Error(`not files but ${response?.case}`);
  return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

describe("reflection", () => {
  it("lists the services that it was given and its own", async () => {
    const [answer] = await ask([{ case: "listServices", value: "" }]);
    expect(answer?.case === "listServicesResponse" && answer.value.service.map(({ name }) => name)).toEqual([
      "leaf.LeafService",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ]);
  });

  it.each([
    "leaf.LeafService",
    "leaf.LeafService.Grow",
    "leaf.Leaf",
    "leaf.Leaf.base",
    "leaf.Leaf.choice",
    "leaf.Leaf.Inner",
    "leaf.Leaf.Inner.Shape",
    "leaf.Leaf.Inner.ROUND",
    "leaf.Colour",
    "leaf.COLOUR_UNSPECIFIED",
    "leaf.note150",
    "leaf.Leaf.inside",
  ])("finds the file of %s and what it imports", async (symbol) => {
    const [answer] = await ask([{ case: "fileContainingSymbol", value: symbol }]);
    expect(filesOf(answer).map(({ name }) => name)).toEqual(["leaf.proto", "base.proto"]);
  });

  it("sends an import once a stream, and what is asked for by name always", async () => {
    const byName = (value: string): Question => ({ case: "fileByFilename", value });
    const answers = await ask([byName("leaf.proto"), byName("leaf.proto"), byName("base.proto")]);
    expect(answers.map((answer) => filesOf(answer).map(({ name }) => name))).toEqual([
      ["leaf.proto", "base.proto"],
      ["leaf.proto"],
      ["base.proto"],
    ]);
  });

  it("sends files that link", async () => {
    const [answer] = await ask([{ case: "fileContainingSymbol", value: "grpc.health.v1.Health" }], [Health]);
    const linked = createFileRegistry(create(FileDescriptorSetSchema, { file: filesOf(answer).reverse() }));
    expect(linked.getService("grpc.health.v1.Health")?.method.check?.input.typeName).toBe(
      "grpc.health.v1.HealthCheckRequest",
    );
  });

  it("finds extensions and lists their numbers", async () => {
    const [file, numbers, none] = await ask([
      { case: "fileContainingExtension", value: { containingType: "base.Base", extensionNumber: 120 } },
      { case: "allExtensionNumbersOfType", value: "base.Base" },
      { case: "allExtensionNumbersOfType", value: "leaf.Leaf" },
    ]);
    expect(filesOf(file)[0]?.name).toBe("leaf.proto");
    expect(numbers).toMatchObject({ value: { baseTypeName: "base.Base", extensionNumber: [120, 130, 150] } });
    expect(none).toMatchObject({ value: { baseTypeName: "leaf.Leaf", extensionNumber: [] } });
  });

  it("answers what it does not know with an error and goes on", async () => {
    const answers = await ask([
      { case: "fileByFilename", value: "missing.proto" },
      { case: "fileContainingSymbol", value: "missing.Symbol" },
      { case: "fileContainingExtension", value: { containingType: "base.Base", extensionNumber: 1 } },
      { case: "allExtensionNumbersOfType", value: "missing.Type" },
      { case: undefined },
      { case: "listServices", value: "" },
    ]);
    expect(answers.map((answer) => (answer.case === "errorResponse" ? answer.value.errorCode : answer.case))).toEqual([
      Code.NotFound,
      Code.NotFound,
      Code.NotFound,
      Code.NotFound,
      Code.InvalidArgument,
      "listServicesResponse",
    ]);
  });

  it("speaks v1alpha as well", async () => {
    const { listener } = await openEdge();
    const client = createClient(ServerReflectionV1Alpha, createGrpcTransport({ baseUrl: listener.url }));
    async function* requests() {
      yield { messageRequest: { case: "listServices", value: "" } as const };
    }
    for await (const { messageResponse } of client.serverReflectionInfo(requests())) {
      expect(messageResponse.case).toBe("listServicesResponse");
    }
  });
});

describe("buf curl without a schema", () => {
  const buf = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)("npx", ["--no-install", "buf", "curl", ...args])).stdout;

  it.each([
    [["--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", "grpc-v1"]],
    [["--protocol", "connect", "--http2-prior-knowledge", "--reflect-protocol", "grpc-v1alpha"]],
    [["--protocol", "grpcweb", "--http2-prior-knowledge"]],
  ])("calls a method with %j", async (flags) => {
    const { listener } = await openEdge();
    const answer = await buf(...flags, "-d", "{}", `${listener.url}/grpc.health.v1.Health/Check`);
    expect(JSON.parse(answer)).toEqual({ status: "SERVING" });
  });

  it("lists the methods", async () => {
    const { listener } = await openEdge();
    expect((await buf("--http2-prior-knowledge", "--list-methods", listener.url)).split("\n")).toEqual(
      expect.arrayContaining(["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"]),
    );
  });
});
