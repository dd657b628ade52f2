/** CRC-32 as IEEE 802.3 defines it (reflected polynomial 0xEDB88320), the checksum of BlockCompleted. */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb8_8320 : remainder >>> 1;
  return remainder;
});

/** The CRC-32 of the UTF-8 bytes of `text`, as an unsigned number. */
export function crc32(text: string): number {
  let remainder = 0xffff_ffff;
  for (const byte of new TextEncoder().encode(text)) {
    remainder = (remainder >>> 8) ^ (table[(remainder ^ byte) & 0xff] ?? 0);
  }
  return ~remainder >>> 0;
}
