/**
 * Checks what of a request needs a scope beside its RPC's (L6): a field or a value of an enum whose option names one.
 *
 * Looked at are unary requests. What a stream says of the kind is handed on as a unary call (Chat), where it is refused without
 * ending the stream.
 */
import { type DescField, type DescMessage, getOption, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Interceptor } from "@connectrpc/connect";
import { field_scope, Scope, value_scope } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import { holdsScope } from "../../auth/authenticate.ts";
import { principalKey } from "../call-context.ts";
import { scopeMissing } from "./request-gate.ts";

/** A field that needs something itself, or whose message has such a field somewhere inside. */
interface Need {
  readonly field: DescField;
  /** UNSPECIFIED when the field itself needs none. */
  readonly scope: Scope;
  readonly ofValues: ReadonlyMap<number, Scope>;
  readonly inner: DescMessage | undefined;
}

const known = new WeakMap<DescMessage, readonly Need[]>();

function needsOf(schema: DescMessage): readonly Need[] {
  let needs = known.get(schema);
  if (needs === undefined) {
    needs = schema.fields.flatMap((field) => {
      const scope = getOption(field, field_scope);
      const ofValues = scopesOfValues(field);
      const inner = field.message !== undefined && hasNeeds(field.message, new Set()) ? field.message : undefined;
      const isNone = scope === Scope.UNSPECIFIED && ofValues.size === 0 && inner === undefined;
      return isNone ? [] : [{ field, scope, ofValues, inner }];
    });
    known.set(schema, needs);
  }
  return needs;
}

/** @param seen Messages that are being looked at: one may contain itself. */
function hasNeeds(schema: DescMessage, seen: Set<DescMessage>): boolean {
  if (seen.has(schema)) return false;
  seen.add(schema);
  return schema.fields.some(
    (field) =>
      getOption(field, field_scope) !== Scope.UNSPECIFIED ||
      scopesOfValues(field).size > 0 ||
      (field.message !== undefined && hasNeeds(field.message, seen)),
  );
}

function scopesOfValues({ enum: kind }: DescField): ReadonlyMap<number, Scope> {
  const values = (kind?.values ?? []).map((value) => [value.number, getOption(value, value_scope)] as const);
  return new Map(values.filter(([, scope]) => scope !== Scope.UNSPECIFIED));
}

/** The scopes that a message needs, each as often as something needs it. */
function* scopesNeeded(schema: DescMessage, message: Message): Generator<Scope> {
  const needs = needsOf(schema);
  if (needs.length === 0) return;
  const read = reflect(schema, message, false);
  for (const { field, scope, ofValues, inner } of needs) {
    if (!read.isSet(field)) continue;
    if (scope !== Scope.UNSPECIFIED) yield scope;
    for (const value of entriesOf(read.get(field))) {
      const needed = typeof value === "number" ? ofValues.get(value) : undefined;
      if (needed !== undefined) yield needed;
      if (inner !== undefined && isReflected(value)) yield* scopesNeeded(inner, value.message);
    }
  }
}

function* entriesOf(value: unknown): Generator<unknown> {
  if (typeof value === "object" && value !== null && "values" in value && typeof value.values === "function") {
    yield* value.values() as Iterable<unknown>;
  } else yield value;
}

function isReflected(value: unknown): value is { readonly message: Message } {
  return typeof value === "object" && value !== null && "message" in value;
}

export const needInterceptor: Interceptor = (next) => async (request) => {
  if (!request.stream) {
    const principal = request.contextValues.get(principalKey);
    for (const scope of scopesNeeded(request.method.input, request.message)) {
      if (principal === undefined || !holdsScope(principal, scope)) throw scopeMissing(scope);
    }
  }
  return next(request);
};
