/**
 * Asks who is at the other end of a connection to prove that it is the mesh with a token, without telling the token.
 *
 * Keeps L7: the answer is read up to `maxAnswerBytes`; how long it may take is the connection's own bound.
 */
import { randomBytes } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AdminService,
  ProveIdentityRequestSchema,
  ProveIdentityResponseSchema,
} from "../../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { connectionEndsOf, provesMesh } from "../../auth/mesh-proof.ts";

const maxAnswerBytes = 1_024;
const nonceBytes = 32;

/** Whether the other end is the mesh whose local token this is. Rejects when the connection breaks. */
export async function askForProof(session: ClientHttp2Session, localToken: string): Promise<boolean> {
  const nonce = randomBytes(nonceBytes);
  const ends = session.socket === undefined ? undefined : connectionEndsOf(session.socket, "client");
  const answer = await ask(
    session,
    toBinary(ProveIdentityRequestSchema, create(ProveIdentityRequestSchema, { nonce })),
  );
  if (answer === undefined || ends === undefined) return false;
  try {
    const { proof } = fromBinary(ProveIdentityResponseSchema, answer);
    return provesMesh(localToken, { nonce, ends, proof });
  } catch {
    return false; // No answer of ours.
  }
}

/** The body of a 200; undefined for every other answer. */
async function ask(session: ClientHttp2Session, body: Uint8Array): Promise<Uint8Array | undefined> {
  const stream = session.request({
    ":method": "POST",
    ":path": `/${AdminService.typeName}/${AdminService.method.proveIdentity.name}`,
    "content-type": "application/proto",
    "connect-protocol-version": "1",
  });
  const answered = Promise.withResolvers<number>();
  answered.promise.catch(() => undefined);
  stream.once("response", (headers) => answered.resolve(headers[":status"] ?? 0));
  stream.once("error", answered.reject).once("close", () => answered.resolve(0));
  stream.end(body);
  if ((await answered.promise) !== 200) {
    stream.close();
    return undefined;
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxAnswerBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
