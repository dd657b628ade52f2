/**
 * One spelling of each decimal number: that of RFC 8785 (ECMAScript's own), carried on to numbers with more digits than a
 * double holds.
 */

/** No number that anybody means has more. */
const maxExponent = 99_999;

/**
 * @param text A number as JSON writes it, or as String() does.
 * Throws RangeError when its exponent is beyond ±99 999; `Infinity` and the like are no decimal numbers, and come back as they are.
 */
export function formatDecimal(text: string): string {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (parts === null) return text;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = parts;
  const written = `${whole}${fraction}`;
  const digits = written.replace(/^0+/, "").replace(/0+$/, "");
  if (digits === "") return "0";
  /** Where the point stands, counted from the first of `digits`. */
  const point = whole.length - (written.length - written.replace(/^0+/, "").length) + Number(exponent);
  if (Math.abs(point) > maxExponent) throw new RangeError(`the exponent of ${text.slice(0, 40)} is too large`);
  return `${sign}${layOut(digits, point)}`;
}

/** ECMAScript, Number::toString: `n` is `point`, `k` the number of digits. */
function layOut(digits: string, point: number): string {
  if (digits.length <= point && point <= 21) return digits.padEnd(point, "0");
  if (0 < point && point <= 21) return `${digits.slice(0, point)}.${digits.slice(point)}`;
  if (-6 < point && point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  const exponent = point - 1;
  const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${Math.abs(exponent)}`;
}
