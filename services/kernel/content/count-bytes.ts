/** A number of bytes for people, for example `1 203 bytes`. */
export function countBytes(bytes: number): string {
  return `${String(bytes).replace(/\B(?=(\d{3})+$)/g, " ")} ${bytes === 1 ? "byte" : "bytes"}`;
}
