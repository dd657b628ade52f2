/** Calls that came through the port take turns when their requests have been read (F4). Behind the deadline, which bounds the wait. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { exchangeKey } from "./exchange.ts";

export const turnInterceptor: Interceptor = (next) => (request) => {
  const { contextValues, signal } = request;
  // Inside the process the caller had its turn.
  const turn = contextValues.get(exchangeKey)?.turn();
  if (turn === undefined) return next(request);
  return turn.then(() => {
    if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
    return next(request);
  });
};
