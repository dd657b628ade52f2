/**
 * Calls that came through the port take turns, by principal, when their requests have been read (F4). Behind the deadline,
 * which bounds the wait.
 */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { addressKey, principalKey } from "./call-context.ts";
import { exchangeKey } from "./exchange.ts";

export const turnInterceptor: Interceptor = (next) => (request) => {
  const { contextValues, signal } = request;
  // Inside the process the caller had its turn.
  const exchange = contextValues.get(exchangeKey);
  if (exchange === undefined) return next(request);
  const principal = contextValues.get(principalKey);
  const turn = exchange.turn(
    principal === undefined ? `address ${contextValues.get(addressKey)}` : `${principal.tenant}/${principal.name}`,
  );
  if (turn === undefined) return next(request);
  return turn.then(() => {
    if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
    return next(request);
  });
};
