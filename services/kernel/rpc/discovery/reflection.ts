// grpc.reflection.v1 and v1alpha, so that buf curl, grpcurl and others call the mesh without a copy of its schema.
// Both versions say the same under two package names; one function answers for both.
// Protocol: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import {
  type ServerReflectionRequest,
  ServerReflection as ServerReflectionV1,
} from "../../../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  type ServerReflectionRequest as ServerReflectionRequestV1Alpha,
  ServerReflection as ServerReflectionV1Alpha,
} from "../../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { publicRpcOptions } from "../register-service.ts";
import { type DescriptorIndex, indexDescriptors, listWithImports } from "./descriptor-index.ts";

type Question = (ServerReflectionRequest | ServerReflectionRequestV1Alpha)["messageRequest"];
type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

/** The services that registerReflection() adds. */
export const reflectionServices: readonly DescService[] = [ServerReflectionV1, ServerReflectionV1Alpha];

/** Serves the descriptors of `services`, of reflection itself and of all that they import. */
export function registerReflection(router: ConnectRouter, services: readonly DescService[]): void {
  const index = indexDescriptors([...new Set([...services, ...reflectionServices])]);
  router.service(
    ServerReflectionV1,
    {
      async *serverReflectionInfo(requests) {
        const answer = createAnswerer(index);
        for await (const request of requests) {
          yield {
            validHost: request.host,
            originalRequest: request,
            messageResponse: answer(request.messageRequest),
          };
        }
      },
    },
    publicRpcOptions,
  );
  router.service(
    ServerReflectionV1Alpha,
    {
      async *serverReflectionInfo(requests) {
        const answer = createAnswerer(index);
        for await (const request of requests) {
          yield {
            validHost: request.host,
            originalRequest: request,
            messageResponse: answer(request.messageRequest),
          };
        }
      },
    },
    publicRpcOptions,
  );
}

/** Answers the questions of one stream: an import that went over it once is not sent again. */
function createAnswerer(index: DescriptorIndex): (question: Question) => Answer {
  const sent = new Set<string>();
  const answerFile = (file: DescFile | undefined, wanted: string): Answer => {
    if (file === undefined) return notFound(wanted);
    const files = listWithImports(file).filter((each) => each === file || !sent.has(each.proto.name));
    for (const each of files) sent.add(each.proto.name);
    return {
      case: "fileDescriptorResponse",
      value: { fileDescriptorProto: files.map(encodeFile) },
    };
  };

  return (question) => {
    switch (question.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: index.services.map((name) => ({ name })) } };
      case "fileByFilename":
        return answerFile(index.fileByName(question.value), `file ${question.value}`);
      case "fileContainingSymbol":
        return answerFile(index.fileOfSymbol(question.value), `symbol ${question.value}`);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = question.value;
        const file = index.fileOfExtension(containingType, extensionNumber);
        return answerFile(file, `extension ${extensionNumber} of ${containingType}`);
      }
      case "allExtensionNumbersOfType": {
        const numbers = index.extensionNumbers(question.value);
        if (numbers === undefined) return notFound(`message ${question.value}`);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: question.value, extensionNumber: [...numbers] },
        };
      }
      case undefined:
        return failure(Code.InvalidArgument, "the request asks nothing");
    }
  };
}

/** Files are encoded once: a question costs its answer's bytes and nothing more. */
const encodedFiles = new WeakMap<DescFile, Uint8Array>();

function encodeFile(file: DescFile): Uint8Array {
  let encoded = encodedFiles.get(file);
  if (encoded === undefined) {
    encoded = toBinary(FileDescriptorProtoSchema, file.proto);
    encodedFiles.set(file, encoded);
  }
  return encoded;
}

function notFound(wanted: string): Answer {
  return failure(Code.NotFound, `${wanted} is not served here`);
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
