/**
 * A fresh id for a call that changes something (R1). Unique for all practical purposes: 128 random bits. A page that was
 * loaded by plain HTTP from another machine has no crypto.randomUUID; random values it has.
 */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
