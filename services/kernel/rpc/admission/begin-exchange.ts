/** Makes the exchange of a request: its address pays for it until its caller is proven (F4). */
import type { Principal } from "../../auth/principal.ts";
import { ErrorReason, failure } from "../../errors.ts";
import type { ListenerLimits } from "../listener/listener-limits.ts";
import type { OpenConnection } from "../listener/open-connection.ts";
import type { EdgeRequest, EdgeResponse } from "../listener/request-timeouts.ts";
import type { UnreadAnswer } from "../readers/unread-answers.ts";
import type { AddressStanding } from "./address-standing.ts";
import type { AnonymousCalls } from "./anonymous-calls.ts";
import { canonicalAddress } from "./canonical-address.ts";
import { noteExchange } from "./exchange.ts";
import type { FairTurns } from "./fair-turns.ts";

/** What a request costs its address beside its bytes, in bytes: about what handling it takes of the processor. */
const requestCostBytes = 2_048;
/** When an address that has spent all, or all places of public RPCs, may try again. */
const retryAfterMs = 1_000;

export function beginExchange(
  connection: OpenConnection,
  request: EdgeRequest,
  response: EdgeResponse,
  {
    limits,
    standing,
    anonymous,
    turns,
  }: {
    readonly limits: ListenerLimits;
    readonly standing: AddressStanding;
    readonly anonymous: AnonymousCalls;
    readonly turns: FairTurns;
  },
): Pick<UnreadAnswer, "caller"> {
  const address = canonicalAddress(connection.remoteAddress);
  const byAddress = { name: `address ${address}`, isProven: false };
  let caller: ReturnType<UnreadAnswer["caller"]> = byAddress;
  const charge = (bytes: number): boolean => {
    connection.spentBytes += bytes;
    return standing.charge(address, bytes);
  };
  charge(requestCostBytes);

  const onProven = ({ tenant, name }: Principal): void => {
    if (caller.isProven) return;
    caller = { name: `principal ${tenant}/${name}`, isProven: true };
    standing.refund(address, requestCostBytes);
    connection.spentBytes = Math.max(0, connection.spentBytes - requestCostBytes);
    connection.provenCalls += 1;
    connection.provenAtMs = performance.now();
    response.once("close", () => {
      connection.provenCalls -= 1;
      connection.provenAtMs = performance.now();
    });
  };

  noteExchange(request, {
    firstMessageTimeoutMs: limits.firstMessageTimeoutMs,
    charge,
    prove: onProven,
    turn: () => turns.enter(caller.name, connection),
    enterPublic() {
      if (standing.isSpent(address)) return exceeded("requests of an address that nobody proven makes");
      const entered = anonymous.enter(address);
      if (typeof entered === "function") {
        response.once("close", entered);
        return undefined;
      }
      return exceeded(`open public calls of ${entered === "all" ? "all addresses" : "an address"}`);
    },
  });
  return { caller: () => caller };
}

function exceeded(limit: string): ReturnType<typeof failure> {
  return failure(ErrorReason.LIMIT_EXCEEDED, `too many ${limit}: wait, or send a token where one is taken`, {
    metadata: { limit },
    retryAfterMs,
  });
}
