/** Reads the rule of an RPC from its descriptor (L6). */
import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { rule, Scope } from "../../../../gen/atoll/auth/v1/options_pb.ts";

export interface MethodRule {
  /** UNSPECIFIED when the RPC states none: nobody may call it. */
  readonly scope: Scope;
  /** Milliseconds; undefined on a stream, which only its idle bound ends. */
  readonly maxTimeoutMs: number | undefined;
  readonly maxRequestBytes: number;
  /** See element-budget.ts. */
  readonly maxElements: number;
  /** Whether no build serves it yet. */
  readonly notServed: boolean;
}

/** What a unary RPC may take that states nothing else. */
export const defaultUnaryTimeoutMs = 30_000;
const defaultMaxRequestBytes = 65_536;
const defaultMaxElements = 65_536;

/** Contracts of others that carry no option of ours and say nothing of anybody: health and reflection. */
const publicServices: ReadonlySet<string> = new Set([
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
]);

const known = new WeakMap<DescMethod, MethodRule>();

export function ruleOf(method: DescMethod): MethodRule {
  let found = known.get(method);
  if (found === undefined) {
    const stated = getOption(method, rule);
    const isPublic = publicServices.has(method.parent.typeName);
    found = {
      scope: isPublic ? Scope.PUBLIC : stated.scope,
      maxTimeoutMs: stated.maxTimeoutMs || (method.methodKind === "unary" ? defaultUnaryTimeoutMs : undefined),
      maxRequestBytes: stated.maxRequestBytes || defaultMaxRequestBytes,
      maxElements: stated.maxElements || defaultMaxElements,
      notServed: stated.notServed,
    };
    known.set(method, found);
  }
  return found;
}
