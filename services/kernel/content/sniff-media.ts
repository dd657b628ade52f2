/** Tells what bytes are by what they begin with: what somebody says they are is often wrong. */

export interface SniffedMedia {
  readonly kind: "picture" | "sound" | "film" | "document";
  /** IANA media type, for example `image/png`. */
  readonly mediaType: string;
}

/** How much of a file is looked at for `<svg`, in bytes: a comment may stand in front of it. */
const maxMarkupBytes = 4_096;
/** How many blanks may stand in front of a document's first bytes. */
const maxBlankBytes = 16;

/** Undefined for text and for whatever is not known. Looks at the first 4 KiB at the most. */
export function sniffMedia(bytes: Uint8Array): SniffedMedia | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, maxMarkupBytes));
  const begins = (ascii: string, at = 0): boolean => head.subarray(at, at + ascii.length).toString("latin1") === ascii;
  if (begins("\x89PNG\r\n\x1a\n")) return picture("image/png");
  if (begins("\xff\xd8\xff")) return picture("image/jpeg");
  if (begins("GIF87a") || begins("GIF89a")) return picture("image/gif");
  if (begins("RIFF"))
    return begins("WEBP", 8)
      ? picture("image/webp")
      : begins("WAVE", 8)
        ? sound("audio/wav")
        : film(begins("AVI ", 8), "video/x-msvideo");
  if (begins("II*\0") || begins("MM\0*")) return picture("image/tiff");
  // Two letters alone would be the beginning of many a text: the four reserved bytes of a bitmap are zero.
  if (begins("BM") && head.length >= 18 && head.readUInt32LE(6) === 0) return picture("image/bmp");
  if (begins("ftyp", 4)) return ofBrand(head.toString("latin1", 8, 12));
  if (begins("OggS")) return sound("audio/ogg");
  if (begins("fLaC")) return sound("audio/flac");
  if (begins("ID3") || isMp3Frame(head)) return sound("audio/mpeg");
  if (begins("\x1a\x45\xdf\xa3")) return { kind: "film", mediaType: "video/webm" };
  if (isPdf(head)) return { kind: "document", mediaType: "application/pdf" };
  return isSvg(head) ? picture("image/svg+xml") : undefined;
}

function picture(mediaType: string): SniffedMedia {
  return { kind: "picture", mediaType };
}

function sound(mediaType: string): SniffedMedia {
  return { kind: "sound", mediaType };
}

function film(isFilm: boolean, mediaType: string): SniffedMedia | undefined {
  return isFilm ? { kind: "film", mediaType } : undefined;
}

/** The brand of a file in the ISO base media format (ISO/IEC 14496-12). */
function ofBrand(brand: string): SniffedMedia {
  if (/^avi[fs]$/.test(brand)) return picture("image/avif");
  if (/^(hei[cxms]|hev[cx]|mif1|msf1)$/.test(brand)) return picture("image/heic");
  if (brand.startsWith("M4A")) return sound("audio/mp4");
  return { kind: "film", mediaType: brand === "qt  " ? "video/quicktime" : "video/mp4" };
}

/** The header of an MPEG audio frame of layer III: 11 bits of sync, no forbidden bit rate, no forbidden sample rate. */
function isMp3Frame(head: Buffer): boolean {
  const [sync = 0, layer = 0, rates = 0] = head;
  return sync === 0xff && (layer & 0xe6) === 0xe2 && rates >> 4 !== 15 && rates >> 4 !== 0 && ((rates >> 2) & 3) !== 3;
}

function isPdf(head: Buffer): boolean {
  const beginning = head.toString("utf8", 0, maxBlankBytes + 5);
  return beginning
    .replace(/^\ufeff/, "")
    .trimStart()
    .startsWith("%PDF-");
}

/** An SVG may have a declaration, comments and a document type in front. Walked, not matched: a pattern could be made slow. */
function isSvg(head: Buffer): boolean {
  let rest = head
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .trimStart();
  for (;;) {
    if (/^<svg[\s/>]/i.test(rest)) return true;
    const end = endOfPrologue(rest);
    if (end === 0) return false;
    rest = rest.slice(end).trimStart();
  }
}

/** Where the declaration, comment or document type that the markup begins with ends; 0 when it begins with none. */
function endOfPrologue(markup: string): number {
  const parts = [
    ["<!--", "-->"],
    ["<?", "?>"],
    ["<!DOCTYPE", ">"],
  ] as const;
  for (const [start, end] of parts) {
    if (!markup.startsWith(start)) continue;
    const at = markup.indexOf(end, start.length);
    return at < 0 ? 0 : at + end.length;
  }
  return 0;
}
