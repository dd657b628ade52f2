/** Calls that must happen once, and their answers (R1). */

/** A call that must happen once (R1). */
export interface Request<Outcome> {
  /** The RPC, for example `atoll.session.v1.SessionService/SubmitMessage`. */
  readonly method: string;
  /** 1–128 characters, chosen by the caller. The key is (tenant, principal, method, requestId). */
  readonly requestId: string;
  /** A digest of the call without its request id; another one under the same id is refused. */
  readonly digest: string;
  /** Encodes the answer that is stored with the change. */
  readonly answer: (outcome: Outcome) => Uint8Array;
}

/** The answer of a call that must happen once. */
export type Answered<Outcome> =
  | { readonly kind: "done"; readonly answer: Uint8Array; readonly outcome: Outcome }
  /** The same request came before; nothing was changed. */
  | { readonly kind: "replayed"; readonly answer: Uint8Array }
  /** The request id was used with another body. */
  | { readonly kind: "request-id-reused" };
