/** Byte arithmetic on text: offsets and lengths on the wire count UTF-8 bytes, JavaScript counts UTF-16 units. */

/** The length of `text` in UTF-8 bytes. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // The two halves of a pair are four bytes together: one more for each half.
    const isHalf = unit >= 0xd800 && unit <= 0xdfff;
    bytes += unit < 0x800 || isHalf ? 1 : 2;
  }
  return bytes;
}

/**
 * The UTF-16 index of the code point that begins `byteOffset` bytes after the index `from`. Undefined when that byte
 * is inside a code point or past the end.
 */
export function indexAtByte(text: string, byteOffset: number, from: number): number | undefined {
  let bytes = 0;
  let index = from;
  while (bytes < byteOffset && index < text.length) {
    const point = text.codePointAt(index) ?? 0;
    if (point < 0x80) bytes += 1;
    else if (point < 0x800) bytes += 2;
    else if (point < 0x1_0000) bytes += 3;
    else bytes += 4;
    index += point < 0x1_0000 ? 1 : 2;
  }
  return bytes === byteOffset ? index : undefined;
}
