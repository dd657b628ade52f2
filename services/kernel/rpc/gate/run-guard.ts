/**
 * What a run's token opens ends with the run, whatever the clocks say: before each call with one, the service asks whether
 * the run is at work under the token's epoch.
 *
 * Keeps L4's spirit for reading and calling: a token of an earlier epoch opens nothing. Costs other callers nothing.
 */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { RunGrant } from "../../auth/principal.ts";
import type { Clock, Timer } from "../../clock.ts";
import { ErrorReason, failedWith } from "../../errors.ts";
import { principalKey } from "../call-context.ts";

/** Resolves when the run is at work under this epoch. Errors: RUN_NOT_FOUND, RUN_FINISHED, EPOCH_FENCED, or that nobody knows. */
export type RequireRun = (run: RunGrant, context: HandlerContext) => Promise<void>;

/** How often a stream that was opened with a run's token asks whether the run goes on. */
const askEveryMs = 1_000;

type AnyHandler = (input: unknown, context: HandlerContext) => unknown;

/** The same handlers, each behind the question. */
export function guardRuns<Service extends DescService>(
  service: Service,
  handlers: Partial<ServiceImpl<Service>>,
  requireRun: RequireRun,
): Partial<ServiceImpl<Service>> {
  const given = handlers as Readonly<Record<string, AnyHandler | undefined>>;
  const guarded = service.methods.flatMap((method: DescMethod): [string, AnyHandler][] => {
    const handler = given[method.localName];
    if (handler === undefined) return [];
    const isStream = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    return [[method.localName, isStream ? guardStream(handler, requireRun) : guardUnary(handler, requireRun)]];
  });
  return Object.fromEntries(guarded) as Partial<ServiceImpl<Service>>;
}

function guardUnary(handler: AnyHandler, requireRun: RequireRun): AnyHandler {
  return (input, context) => {
    const run = context.values.get(principalKey)?.run;
    return run === undefined ? handler(input, context) : requireRun(run, context).then(() => handler(input, context));
  };
}

function guardStream(handler: AnyHandler, requireRun: RequireRun): AnyHandler {
  return (input, context) => {
    const run = context.values.get(principalKey)?.run;
    const open = (): AsyncIterable<unknown> => handler(input, context) as AsyncIterable<unknown>;
    if (run === undefined) return open();
    return (async function* () {
      await requireRun(run, context);
      yield* open();
    })();
  };
}

/**
 * A stream that would go on for ever: one that was opened with a run's token ends with the run, with the reason of the
 * refusal. While nobody can say whether the run goes on, the stream does.
 */
export async function* endWithRun<Frame>(
  context: HandlerContext,
  clock: Clock,
  requireRun: RequireRun,
  open: (context: HandlerContext) => AsyncIterable<Frame>,
): AsyncGenerator<Frame> {
  const run = context.values.get(principalKey)?.run;
  if (run === undefined) {
    yield* open(context);
    return;
  }
  const over = new AbortController();
  let timer: Timer | undefined;
  const ask = async (): Promise<void> => {
    try {
      await requireRun(run, context);
    } catch (error) {
      if (endings.some((reason) => failedWith(error, reason))) over.abort(error);
    }
    if (!over.signal.aborted) timer = clock.setTimer(askEveryMs, () => void ask());
  };
  timer = clock.setTimer(askEveryMs, () => void ask());
  try {
    yield* open({ ...context, signal: AbortSignal.any([context.signal, over.signal]) });
    over.signal.throwIfAborted();
  } finally {
    timer.cancel();
    over.abort();
  }
}

const endings = [ErrorReason.RUN_NOT_FOUND, ErrorReason.RUN_FINISHED, ErrorReason.EPOCH_FENCED];
