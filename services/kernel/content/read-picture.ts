/**
 * Says of a picture's bytes what they are and whether a model can be shown them. The type is told by the bytes, whatever
 * it is called.
 */
import { countBytes } from "./count-bytes.ts";
import { readPictureSize } from "./picture-size.ts";
import { sniffMedia } from "./sniff-media.ts";

/** Bytes of one picture: model APIs take 5 MiB of its base64. It leaves room for text beside it in a message of 4 MiB. */
export const maxPictureBytes = 3_750_000;
/** Pixels a side that model APIs take. */
const maxPictureSidePx = 8_000;

/** The types that models take. */
const viewableTypes: readonly string[] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

export type PictureReading =
  | {
      readonly kind: "viewable";
      readonly mediaType: string;
      readonly widthPx: number;
      readonly heightPx: number;
    }
  /** It is a picture, and people may be able to see it. `problem` is a sentence without its end. */
  | {
      readonly kind: "not-viewable";
      readonly mediaType: string;
      /** 0 when unknown. */
      readonly widthPx: number;
      readonly heightPx: number;
      readonly problem: string;
    }
  /** Empty, or no picture of a known kind. */
  | { readonly kind: "no-picture"; readonly problem: string };

export function readPicture(bytes: Uint8Array): PictureReading {
  if (bytes.length === 0) return { kind: "no-picture", problem: "it is empty" };
  const sniffed = sniffMedia(bytes);
  if (sniffed?.kind !== "picture") {
    const what = sniffed === undefined ? "no picture of a known kind" : `of type ${sniffed.mediaType}`;
    return { kind: "no-picture", problem: `its ${countBytes(bytes.length)} are ${what}` };
  }
  const { mediaType } = sniffed;
  const size = readPictureSize(bytes, mediaType) ?? { widthPx: 0, heightPx: 0 };
  const problem = problemOf(mediaType, bytes.length, size);
  return problem === undefined
    ? { kind: "viewable", mediaType, ...size }
    : { kind: "not-viewable", mediaType, ...size, problem };
}

function problemOf(
  mediaType: string,
  bytes: number,
  { widthPx, heightPx }: { readonly widthPx: number; readonly heightPx: number },
): string | undefined {
  if (!viewableTypes.includes(mediaType)) return "models are shown PNG, JPEG, GIF and WebP alone";
  if (widthPx === 0) return "its header is broken or cut short";
  if (Math.max(widthPx, heightPx) > maxPictureSidePx) {
    return `it is ${widthPx} × ${heightPx} pixels, and models are shown at most ${maxPictureSidePx} a side`;
  }
  if (bytes > maxPictureBytes) return `models are shown at most ${countBytes(maxPictureBytes)} of a picture`;
  return undefined;
}
