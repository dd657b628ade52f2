/** Signatures of thinking blocks: a digest of the text, so that a fake that was restarted knows its own again. */
import { createHash } from "node:crypto";

export function signThinking(thinking: string): string {
  return `fake${createHash("sha256").update(thinking).digest("base64")}`;
}

export function isSigned(thinking: unknown, signature: unknown): boolean {
  return typeof thinking === "string" && signature === signThinking(thinking);
}
