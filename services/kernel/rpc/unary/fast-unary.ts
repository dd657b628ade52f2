/**
 * Answers the unary calls of the mesh's own services: Connect over HTTP/2, binary, nothing compressed. Everything else is
 * left to the library, whose asynchronous iterators, universal requests and copies of headers cost as much as the
 * handler behind them.
 *
 * Keeps L6 and L7: what decides about a call is the same code on both ways: the gate, the interceptors, the limits, the
 * codec, and how an error is told. fast-unary.test.ts holds the two against each other; `rpc.unary:
 * library` in the configuration closes this one.
 */
import type { Http2ServerRequest, Http2ServerResponse, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  createMethodImplSpec,
  type HandlerContext,
  type MethodImplSpec,
} from "@connectrpc/connect";
import {
  createMethodSerializationLookup,
  invokeUnaryImplementation,
  limitSerialization,
  mergeNonProtocolHeaders,
  type Serialization,
  validateReadWriteMaxBytes,
} from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes, parseTimeout } from "@connectrpc/connect/protocol-connect";
import { RawEventPageSchema } from "../../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { encodeEventPage } from "../../event/encode-event-page.ts";
import { checkElements } from "../gate/element-budget.ts";
import { boundDeadlines } from "./bound-deadlines.ts";
import { readBody } from "./read-body.ts";

export interface FastUnary {
  /** The same router; the unary RPCs that are registered on what is returned can be taken afterwards. */
  noting(router: ConnectRouter): ConnectRouter;
  /** Undefined when the call is left to the library. Rejects when it can't be answered at all, a fault of ours. */
  take(
    request: Http2ServerRequest,
    response: Http2ServerResponse,
    values: () => ContextValues,
  ): Promise<void> | undefined;
}

type UnarySpec = Extract<MethodImplSpec, { readonly kind: "unary" }>;

interface UnaryRpc {
  readonly spec: UnarySpec;
  readonly maxRequestBytes: number;
  readonly input: Serialization<Parameters<UnarySpec["impl"]>[0]>;
  readonly output: Serialization<Message>;
}

const binaryType = "application/proto";
const jsonType = "application/json";

/** One for all calls: nobody reads it, and an error that is made costs a walk over the stack. */
const callEnded = new ConnectError("the call has ended", Code.Canceled);
const callerLeft = new ConnectError("the caller left", Code.Canceled);

/** @param server How the library serves the same RPCs. */
export function createFastUnary(server: ConnectRouterOptions): FastUnary {
  const rpcs = new Map<string, UnaryRpc>();
  return {
    noting: (router) => ({
      ...router,
      rpc(method, implementation, options) {
        const spec = createMethodImplSpec(method, implementation) as MethodImplSpec;
        if (spec.kind === "unary") rpcs.set(pathOf(method), describeRpc(spec, { ...server, ...options }));
        router.rpc(method, implementation, options);
        return this;
      },
    }),
    take(request, response, values) {
      const rpc = isOurs(request) ? rpcs.get(request.url) : undefined;
      return rpc && answer(server, rpc, request, response, values());
    },
  };
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function describeRpc(spec: UnarySpec, server: ConnectRouterOptions): UnaryRpc {
  const limits = validateReadWriteMaxBytes(server.readMaxBytes, server.writeMaxBytes, server.compressMinBytes);
  const codec = createMethodSerializationLookup(spec.method, server.binaryOptions, server.jsonOptions, limits);
  const output = codec.getO(true);
  const isEventPage = spec.method.output.typeName === RawEventPageSchema.typeName;
  return {
    spec,
    maxRequestBytes: limits.readMaxBytes,
    input: codec.getI(true),
    output: isEventPage ? limitSerialization({ ...output, serialize: encodeEventPage as never }, limits) : output,
  };
}

function isOurs({ method, headers }: Http2ServerRequest): boolean {
  return (
    method === "POST" &&
    headers["content-type"] === binaryType &&
    headers["connect-protocol-version"] === "1" &&
    headers["content-encoding"] === undefined &&
    headers["accept-encoding"] === undefined
  );
}

async function answer(
  server: ConnectRouterOptions,
  { spec, maxRequestBytes, input, output }: UnaryRpc,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  values: ContextValues,
): Promise<void> {
  const call = beginCall(spec, request, response, values);
  const { context } = call;
  let status = 200;
  let type = binaryType;
  let body: Uint8Array;
  try {
    // Who may not call is told so before the body is read.
    await server.requestGate?.(context);
    if (call.timeoutError !== undefined) throw call.timeoutError;
    const bytes = await readBody(request, maxRequestBytes);
    checkElements(spec.method, bytes, "binary");
    const message = input.parse(bytes);
    body = output.serialize(await invokeUnaryImplementation(spec, context, message, server.interceptors ?? []));
    context.abort(callEnded);
  } catch (cause) {
    // The gate gives what failed before the handler its reason when it hears of it.
    context.abort(cause);
    const error = cause instanceof ConnectError ? cause : unexplained(cause);
    if (!error.isWireError) mergeNonProtocolHeaders(context.responseHeader, error.metadata);
    status = codeToHttpStatus(error.code);
    type = jsonType;
    body = errorToJsonBytes(error, server.jsonOptions);
  } finally {
    clearTimeout(call.timer);
  }
  response.writeHead(status, headersOf(context, type, body.length));
  response.end(body);
}

function unexplained(cause: unknown): ConnectError {
  return new ConnectError("internal error", Code.Internal, undefined, undefined, cause);
}

interface Call {
  readonly context: HandlerContext & { readonly abort: (reason: unknown) => void };
  /** What is wrong with the caller's deadline; undefined when nothing is. */
  readonly timeoutError: ConnectError | undefined;
  readonly timer: NodeJS.Timeout | undefined;
}

function beginCall(
  { method }: UnarySpec,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  values: ContextValues,
): Call {
  const control = new AbortController();
  const requestHeader = webHeadersOf(request.headers);
  boundDeadlines(requestHeader);
  const { timeoutMs, error } = parseTimeout(requestHeader.get("connect-timeout-ms"), Number.MAX_SAFE_INTEGER);
  const endMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  const expire = (): void => control.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
  if (timeoutMs === 0) expire();
  request.once("close", () => {
    if (!response.writableEnded) control.abort(callerLeft);
  });
  return {
    context: {
      service: method.parent,
      method,
      values,
      requestHeader,
      requestMethod: request.method,
      protocolName: "connect",
      url: `${request.scheme}://${request.authority}${request.url}`,
      signal: control.signal,
      abort: (reason) => control.abort(reason),
      // Whole milliseconds: what is left travels on in a header that has no fractions.
      timeoutMs: () => (endMs === undefined ? undefined : Math.floor(endMs - performance.now())),
      responseHeader: new Headers(),
      responseTrailer: new Headers(),
    },
    timeoutError: error,
    timer: timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs),
  };
}

function webHeadersOf(headers: IncomingHttpHeaders): Headers {
  const web = new Headers();
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.startsWith(":")) continue;
    for (const each of typeof value === "string" ? [value] : value) web.append(name, each);
  }
  return web;
}

function headersOf({ responseHeader, responseTrailer }: HandlerContext, type: string, length: number) {
  const headers: OutgoingHttpHeaders = { "content-type": type, "content-length": length };
  responseHeader.forEach((value, name) => {
    headers[name] = value;
  });
  // A unary answer of Connect has its trailers among its headers.
  responseTrailer.forEach((value, name) => {
    headers[`trailer-${name}`] = value;
  });
  return headers;
}
