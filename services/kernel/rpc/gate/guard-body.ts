/**
 * Puts the count of elements (element-budget.ts) in front of the library's decoders, in every protocol: the body goes through
 * here message by message on its way to them. What is too large or can't be unpacked is passed on as it is: the library
 * refuses it.
 *
 * Keeps L7: a message is held here at most in the size that its RPC takes.
 */
import { gunzipSync } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { addressKey } from "../call-context.ts";
import { checkElements, smallBytes } from "./element-budget.ts";
import { ruleOf } from "./method-rule.ts";

/** The same handler, behind the count; calls inside of the process came through it already. */
export function guardHandler(handler: UniversalHandler, method: DescMethod): UniversalHandler {
  const { maxRequestBytes } = ruleOf(method);
  if (maxRequestBytes <= smallBytes) return handler;
  const guarded = (request: UniversalServerRequest) =>
    handler(isFromOutside(request) ? { ...request, body: guardBody(request, method, maxRequestBytes) } : request);
  return Object.assign(guarded, handler);
}

function isFromOutside({ contextValues }: UniversalServerRequest): boolean {
  return contextValues?.get(addressKey) !== undefined;
}

function guardBody({ body, header }: UniversalServerRequest, method: DescMethod, maxBytes: number) {
  if (!(Symbol.asyncIterator in (body as object))) return body;
  const chunks = body as AsyncIterable<Uint8Array>;
  const type = header.get("content-type") ?? "";
  const check = (message: Uint8Array, isPacked: boolean): void => {
    if (!isPacked && message.length <= smallBytes) return;
    const bytes = isPacked ? unpack(message, maxBytes) : message;
    if (bytes !== undefined) checkElements(method, bytes, /json/i.test(type) ? "json" : "binary");
  };
  const isWhole = /^application\/(proto|json)\s*(;|$)/i.test(type);
  if (isWhole)
    return guardWhole(chunks, maxBytes, (message) => check(message, isNamed(header.get("content-encoding"))));
  return guardFrames(chunks, maxBytes, check);
}

function isNamed(encoding: string | null): boolean {
  return encoding !== null && encoding !== "" && encoding !== "identity";
}

/** Undefined when it is larger than it may be, or is no gzip. */
function unpack(message: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    return gunzipSync(message, { maxOutputLength: maxBytes });
  } catch {
    return undefined;
  }
}

async function* guardWhole(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  check: (message: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      yield* held.splice(0);
      yield chunk;
    } else held.push(chunk);
  }
  if (bytes > maxBytes) return;
  const message = held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held);
  check(message);
  yield message;
}

/** What stands before a message of a stream: one byte of flags, and its length. */
const headBytes = 5;
const packedFlag = 1;

async function* guardFrames(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  check: (message: Uint8Array, isPacked: boolean) => void,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  let wanted = headBytes;
  let isPassing = false;
  for await (const chunk of chunks) {
    if (isPassing) {
      yield chunk;
      continue;
    }
    held.push(chunk);
    bytes += chunk.length;
    if (bytes < wanted) continue;
    let rest: Buffer = Buffer.concat(held);
    for (wanted = frameBytes(rest); wanted <= rest.length; wanted = frameBytes(rest)) {
      check(rest.subarray(headBytes, wanted), ((rest[0] ?? 0) & packedFlag) !== 0);
      yield rest.subarray(0, wanted);
      rest = rest.subarray(wanted);
    }
    // The library says what is wrong with it.
    isPassing = wanted > headBytes + maxBytes;
    if (isPassing) yield rest;
    held = isPassing || rest.length === 0 ? [] : [rest];
    bytes = isPassing ? 0 : rest.length;
  }
  yield* held;
}

/** How many bytes the first frame has, or at least has. */
function frameBytes(bytes: Buffer): number {
  return bytes.length < headBytes ? headBytes : headBytes + bytes.readUInt32BE(1);
}
