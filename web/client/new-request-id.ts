/** A fresh id for a call that changes something (R1). Unique for all practical purposes: 122 random bits. */
export function newRequestId(): string {
  return crypto.randomUUID();
}
