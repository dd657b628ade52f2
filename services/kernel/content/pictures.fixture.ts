/** Pictures for tests: real headers of the sizes that a test wants, with nothing or zeros behind them. */
import { crc32, deflateSync } from "node:zlib";

/** A whole PNG that decodes, one colour. `padBytes` of a text chunk make it larger. */
export function png(widthPx = 2, heightPx = 2, padBytes = 0): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header.set([1, 0, 0, 0, 0], 8);
  const rows = Buffer.alloc((1 + Math.ceil(widthPx / 8)) * heightPx);
  const chunks = [chunk("IHDR", header), ...(padBytes > 0 ? [chunk("tEXt", Buffer.alloc(padBytes, 65))] : [])];
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    ...chunks,
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(name: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name, "latin1"), content]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(content.length, 0);
  frame.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)]);
}

/** A JPEG's segments up to its frame header: `0xc0` is baseline, `0xc2` progressive. */
export function jpeg(widthPx = 2, heightPx = 2, { marker = 0xc0, exifBytes = 0, fill = 0 } = {}): Buffer {
  const exif = Buffer.alloc(exifBytes > 0 ? exifBytes + 4 : 0);
  if (exifBytes > 0) exif.set([0xff, 0xe1, (exifBytes + 2) >> 8, (exifBytes + 2) & 0xff]);
  const frame = [0xff, marker, 0, 11, 8, heightPx >> 8, heightPx & 0xff, widthPx >> 8, widthPx & 0xff, 1, 1, 0x11, 0];
  const tables = [0xff, 0xc4, 0, 4, 0, 0];
  return Buffer.from([0xff, 0xd8, ...exif, ...Array<number>(fill).fill(0xff), ...tables, ...frame, 0xff, 0xd9]);
}

export function gif(widthPx = 2, heightPx = 2): Buffer {
  const size = [widthPx & 0xff, widthPx >> 8, heightPx & 0xff, heightPx >> 8];
  return Buffer.from([...Buffer.from("GIF89a"), ...size, 0, 0, 0, 0x3b]);
}

export function webp(form: "VP8 " | "VP8L" | "VP8X", widthPx = 2, heightPx = 2): Buffer {
  const file = Buffer.alloc(40);
  file.write("RIFF", 0, "latin1");
  file.writeUInt32LE(32, 4);
  file.write(`WEBP${form}`, 8, "latin1");
  file.writeUInt32LE(20, 16);
  switch (form) {
    case "VP8 ":
      file.set([0, 0, 0, 0x9d, 0x01, 0x2a], 20);
      file.writeUInt16LE(widthPx, 26);
      file.writeUInt16LE(heightPx, 28);
      break;
    case "VP8L":
      file[20] = 0x2f;
      file.writeUInt32LE(((heightPx - 1) << 14) | (widthPx - 1), 21);
      break;
    case "VP8X":
      file.writeUIntLE(widthPx - 1, 24, 3);
      file.writeUIntLE(heightPx - 1, 27, 3);
  }
  return file;
}

/** The first bytes of pictures that models are not shown, by their type. */
export const otherPictures: Readonly<Record<string, Buffer>> = {
  "image/bmp": Buffer.concat([Buffer.from("BM"), Buffer.alloc(30)]),
  "image/tiff": Buffer.from("II*\0\b\0\0\0rest"),
  "image/heic": Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
  "image/avif": Buffer.from("\0\0\0\x18ftypavif\0\0\0\0mif1avif"),
  "image/svg+xml": Buffer.from(
    '<?xml version="1.0"?>\n<!-- made by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
  ),
};
