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
import { ruleOf } from "../kernel/rpc/gate/method-rule.ts";

type AnyCall = (input: unknown, options: CallOptions) => unknown;

export function proxyService<Service extends DescService>(
  service: Service,
  transport: Transport,
): Partial<ServiceImpl<Service>> {
  const client = createClient(service, transport) as unknown as Readonly<Record<string, AnyCall>>;
  const forward = (method: DescMethod) => (input: unknown, context: HandlerContext) =>
    client[method.localName]?.(input, onward(context));
  const served = service.methods.filter((method) => !ruleOf(method).notServed);
  return Object.fromEntries(served.map((method) => [method.localName, forward(method)])) as Partial<
    ServiceImpl<Service>
  >;
}
