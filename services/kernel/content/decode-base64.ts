/** Reads base64 as it is found in the wild. */

const dataUri = /^data:[^,]{0,255},/;
const alphabet = /^[A-Za-z0-9+/]*$/;

/**
 * The bytes; undefined when the text is no base64. Line breaks and blanks are passed over, the alphabet for URLs and a
 * `data:` address in front are understood, padding may be missing.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const digits = text
    .replace(dataUri, "")
    .replace(/[\s]+/g, "")
    .replaceAll("-", "+")
    .replaceAll("_", "/")
    .replace(/={0,2}$/, "");
  if (!alphabet.test(digits) || digits.length % 4 === 1) return undefined;
  return Buffer.from(digits, "base64");
}
