/**
 * Holds the meshes of tests to their contracts: a call that is answered with a reason which its RPC does not list (`Rule.reasons`)
 * and which is not one of any RPC (`any_rpc`) fails with UndeclaredReason, and with it the whole run of the tests, so that nobody
 * who expects some error or other swallows it.
 *
 * Looked at are the errors of calls and the refusals inside of streams that go on. Errors without a reason of Atoll's are left
 * alone: a transport or a proxy made them.
 */
import { type DescMethod, getOption, isMessage, type Message } from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { rule } from "../../gen/atoll/auth/v1/options_pb.ts";
import { any_rpc, ErrorReason, ErrorReasonSchema } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { ChatResponseSchema } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import { SubscribeSessionsResponseSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { RawAttachResponseSchema, RawWatchResponseSchema } from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import { AttachResponseSchema } from "../../gen/atoll/session/v1/attach_pb.ts";
import { WatchResponseSchema } from "../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { reasonName } from "../../services/kernel/errors.ts";

/** No ConnectError, so that no test takes it for a refusal. */
export class UndeclaredReason extends Error {
  override readonly name = "UndeclaredReason";
}

/** @param report Told of each as well. Default: it fails the run of the tests. */
export function checkReasons(transport: Transport, report: (found: UndeclaredReason) => void = failTests): Transport {
  const require = (method: DescMethod, reason: string | undefined, cause?: unknown): void => {
    if (reason === undefined || reasonsOf(method)?.has(reason) !== false) return;
    const name = `${method.parent.typeName}/${method.name}`;
    const found = new UndeclaredReason(`${name} answered ${reason}, which it does not list`, { cause });
    report(found);
    throw found;
  };
  async function* checkAll<T extends Message>(method: DescMethod, messages: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      for await (const message of messages) {
        require(method, refusalIn(message));
        yield message;
      }
    } catch (error) {
      require(method, reasonOf(error), error);
      throw error;
    }
  }
  return {
    async unary(method, ...call) {
      try {
        return await transport.unary(method, ...call);
      } catch (error) {
        require(method, reasonOf(error), error);
        throw error;
      }
    },
    async stream(method, ...call) {
      try {
        const response = await transport.stream(method, ...call);
        return { ...response, message: checkAll(method, response.message) };
      } catch (error) {
        require(method, reasonOf(error), error);
        throw error;
      }
    },
  };
}

const ofAnyRpc: readonly ErrorReason[] = ErrorReasonSchema.values
  .filter((value) => getOption(value, any_rpc))
  .map(({ number }) => number as ErrorReason);
const known = new WeakMap<DescMethod, ReadonlySet<string>>();

/** Undefined for an RPC of somebody else's contract. */
function reasonsOf(method: DescMethod): ReadonlySet<string> | undefined {
  if (!method.parent.typeName.startsWith("atoll.")) return undefined;
  let found = known.get(method);
  if (found === undefined) {
    found = new Set([...ofAnyRpc, ...getOption(method, rule).reasons].map(reasonName));
    known.set(method, found);
  }
  return found;
}

/** As it came, also when this build has no such reason. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  return error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "atoll")?.reason;
}

/** Of a message that refuses something while its stream goes on. */
function refusalIn(message: Message): string | undefined {
  const reason = refusalReason(message) ?? ErrorReason.UNSPECIFIED;
  return reason === ErrorReason.UNSPECIFIED ? undefined : reasonName(reason);
}

function refusalReason(message: Message): ErrorReason | undefined {
  if (isMessage(message, ChatResponseSchema)) {
    return message.frame.case === "error" ? message.frame.value.reason : undefined;
  }
  if (isMessage(message, SubscribeSessionsResponseSchema)) return message.error?.reason;
  if (isMessage(message, WatchResponseSchema) || isMessage(message, RawWatchResponseSchema)) {
    return message.frame.case === "cancelled" ? message.frame.value.reason : undefined;
  }
  if (isMessage(message, AttachResponseSchema) || isMessage(message, RawAttachResponseSchema)) {
    return message.frame.case === "refused" ? message.frame.value.reason : undefined;
  }
  return undefined;
}

/** Vitest counts a rejection that nobody hears. A program that is no test, such as a fault run, has the error of the call. */
function failTests(found: UndeclaredReason): void {
  if (process.env["VITEST"] !== undefined) void Promise.reject(found);
}
