/** Reads a picture's width and height from its header; nothing is decoded. */

export interface PictureSize {
  readonly widthPx: number;
  readonly heightPx: number;
}

/**
 * Of PNG, JPEG (baseline, progressive and every other SOFn), GIF and WebP (VP8, VP8L, VP8X). Undefined when the header is
 * cut short or broken, or says 0.
 */
export function readPictureSize(bytes: Uint8Array, mediaType: string): PictureSize | undefined {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = readHeader(file, mediaType);
  return size === undefined || size.widthPx <= 0 || size.heightPx <= 0 ? undefined : size;
}

function readHeader(file: Buffer, mediaType: string): PictureSize | undefined {
  switch (mediaType) {
    case "image/png":
      return readPng(file);
    case "image/jpeg":
      return readJpeg(file);
    case "image/gif":
      if (file.length < 10) return undefined;
      return { widthPx: file.readUInt16LE(6), heightPx: file.readUInt16LE(8) };
    case "image/webp":
      return readWebp(file);
    default:
      return undefined;
  }
}

/** IHDR is the first chunk: length, name, width, height. */
function readPng(file: Buffer): PictureSize | undefined {
  if (file.length < 33 || file.toString("latin1", 12, 16) !== "IHDR") return undefined;
  return { widthPx: file.readUInt32BE(16), heightPx: file.readUInt32BE(20) };
}

/** Segments up to the first frame header. Any number of 0xFF may stand in front of a marker. */
function readJpeg(file: Buffer): PictureSize | undefined {
  let at = 2;
  while (at + 4 <= file.length) {
    if (file[at] !== 0xff) return undefined;
    while (file[at] === 0xff) at++;
    const marker = file[at++] ?? 0;
    // Markers that stand alone: TEM, RSTn, SOI.
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    // A scan or the end in front of a frame header; 0xFF00 is no marker.
    if (marker === 0xda || marker === 0xd9 || marker === 0) return undefined;
    if (at + 2 > file.length) return undefined;
    const length = file.readUInt16BE(at);
    // DHT, JPG and DAC stand among the numbers of the frame headers.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      if (at + 7 > file.length) return undefined;
      return { heightPx: file.readUInt16BE(at + 3), widthPx: file.readUInt16BE(at + 5) };
    }
    if (length < 2) return undefined;
    at += length;
  }
  return undefined;
}

/** The first chunk says which of the three forms it is (RFC 9649). */
function readWebp(file: Buffer): PictureSize | undefined {
  if (file.length < 30) return undefined;
  switch (file.toString("latin1", 12, 16)) {
    case "VP8 ":
      // Three bytes of frame tag, the start code, then 14 bits each; the upper two are a scale.
      if (file.readUIntBE(23, 3) !== 0x9d012a) return undefined;
      return { widthPx: file.readUInt16LE(26) & 0x3fff, heightPx: file.readUInt16LE(28) & 0x3fff };
    case "VP8L": {
      if (file[20] !== 0x2f) return undefined;
      const bits = file.readUInt32LE(21);
      return { widthPx: (bits & 0x3fff) + 1, heightPx: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X":
      return { widthPx: file.readUIntLE(24, 3) + 1, heightPx: file.readUIntLE(27, 3) + 1 };
    default:
      return undefined;
  }
}
