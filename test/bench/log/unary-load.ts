/**
 * Unary calls in the Connect protocol on a bare HTTP/2 connection: what they cost here is little beside what the service
 * does. A client library costs about as much as the service, and on a core of its own it is the slower half.
 */
import { connect } from "node:http2";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";

export interface UnaryLoad<Input extends DescMessage, Output extends DescMessage> {
  /** Rejects with what the service said when its answer is an error. */
  call(request: MessageInitShape<Input>): Promise<MessageShape<Output>>;
  close(): void;
}

/** One connection. `authorization` is the value of the header of that name. */
export function openUnaryLoad<Input extends DescMessage, Output extends DescMessage>(
  url: string,
  method: DescMethodUnary<Input, Output>,
  authorization: string,
): UnaryLoad<Input, Output> {
  const session = connect(url);
  const path = `/${method.parent.typeName}/${method.name}`;
  return {
    async call(request) {
      const body = toBinary(method.input, create(method.input, request));
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<Output>>();
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        authorization,
        "connect-protocol-version": "1",
        "content-type": "application/proto",
      });
      let status = 0;
      const chunks: Buffer[] = [];
      stream.on("response", (headers) => {
        status = headers[":status"] ?? 0;
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const answer = Buffer.concat(chunks);
        if (status === 200) resolve(fromBinary(method.output, answer));
        else reject(new Error(`${path} answered ${status}: ${answer.toString("utf8")}`));
      });
      stream.on("error", reject);
      stream.end(body);
      return promise;
    },
    close: () => session.close(),
  };
}
