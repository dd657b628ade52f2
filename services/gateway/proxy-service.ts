/** Serves a peer's contract on the gateway's port: every RPC is handed on with its principal, trace and deadline (R6). */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type CallOptions,
  createClient,
  type HandlerContext,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import { onward } from "../kernel/rpc/call-context.ts";

type AnyCall = (input: unknown, options: CallOptions) => unknown;

export function proxyService<Service extends DescService>(
  service: Service,
  transport: Transport,
): Partial<ServiceImpl<Service>> {
  const client = createClient(service, transport) as unknown as Readonly<Record<string, AnyCall>>;
  const forward = (method: DescMethod) => (input: unknown, context: HandlerContext) =>
    client[method.localName]?.(input, onward(context));
  return Object.fromEntries(service.methods.map((method) => [method.localName, forward(method)])) as Partial<
    ServiceImpl<Service>
  >;
}
