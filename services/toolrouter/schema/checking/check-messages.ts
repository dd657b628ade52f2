/** What the router and the thread that checks for it say to each other. */
import type { ArgumentCheck } from "./compile-schema.ts";

/** To the thread; it answers one before it is sent the next. */
export interface CheckRequest {
  /** Names the schema: equal hashes, equal schemas. */
  readonly hash: string;
  /** Both as JSON text: copying text to a thread takes a tenth of the time that copying objects takes. */
  readonly schema: string;
  readonly args: string;
}

/** From the thread: once that it is there, then for each request both others. */
export type CheckAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "compiled" }
  | { readonly kind: "checked"; readonly check: ArgumentCheck };
