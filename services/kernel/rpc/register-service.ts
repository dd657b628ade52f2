/** Registers a service so that each RPC has the limits of size and elements of its own contract (L6). */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, MethodImpl, ServiceImpl } from "@connectrpc/connect";
import { Scope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { ErrorReason, failure } from "../errors.ts";
import { anonymousReadBytes } from "./admission/anonymous-calls.ts";
import { guardHandler } from "./gate/guard-body.ts";
import { ruleOf } from "./gate/method-rule.ts";

/**
 * An RPC that the contract marks as not served answers UNIMPLEMENTED with the reason METHOD_NOT_SERVED. Throws when contract and
 * implementation differ in that: a fault of ours, found by every start.
 *
 * @param options `isWhole`: false for tests of what is around a handler, which implement a part of a contract. Default: true.
 */
export function registerService<Service extends DescService>(
  router: ConnectRouter,
  service: Service,
  implementation: Partial<ServiceImpl<Service>>,
  { isWhole = true } = {},
): void {
  const methods = implementation as Readonly<Record<string, MethodImpl<DescMethod> | undefined>>;
  for (const method of service.methods) {
    const implemented = methods[method.localName];
    if (isWhole && (implemented === undefined) !== ruleOf(method).notServed) {
      throw new Error(`${service.typeName}/${method.name}: \`not_served\` is not what is implemented`);
    }
    router.rpc(method, (implemented ?? notServed(method)) as MethodImpl<DescMethod>, {
      readMaxBytes: ruleOf(method).maxRequestBytes,
      ...(ruleOf(method).scope === Scope.PUBLIC ? publicRpcOptions : {}),
    });
    const handler = router.handlers.pop();
    if (handler !== undefined) router.handlers.push(guardHandler(handler, method));
  }
}

/** How public RPCs of other contracts (health, reflection) are registered: a few bytes, never inflated (F4). */
export const publicRpcOptions = { readMaxBytes: anonymousReadBytes, acceptCompression: [] };

function notServed(method: DescMethod): () => never {
  return () => {
    const name = `${method.parent.typeName}/${method.name}`;
    throw failure(ErrorReason.METHOD_NOT_SERVED, `${name} is not served by this build of the mesh`, {
      metadata: { method: name },
    });
  };
}
