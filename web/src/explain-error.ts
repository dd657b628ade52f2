/** An error in words for people: what happened and what to do. */
import { Code, ConnectError } from "@connectrpc/connect";
import { isUnanswered } from "../client/judge-breakage.ts";

export function explainError(thrown: unknown): string {
  const error = ConnectError.from(thrown);
  if (isUnanswered(error)) return "The mesh does not answer. Is it running?";
  if (error.code === Code.DeadlineExceeded) return "The mesh took too long to answer. Try again.";
  return error.rawMessage || "Something went wrong. Try again.";
}
