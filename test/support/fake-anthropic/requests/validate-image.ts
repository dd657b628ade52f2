/** The API's rules for a picture: its type, its bytes and its size. */
import type { JsonObject } from "@bufbuild/protobuf";
import { type ApiProblem, invalid } from "../error-body.ts";
import { readPictureHeader } from "./picture-header.ts";

const imageTypes = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const mostBase64Bytes = 5_242_880;
const mostPixels = 8_000;
/** With more pictures than this in a request, each may have at most `mostPixelsOfMany` a side. */
const manyPictures = 20;
const mostPixelsOfMany = 2_000;

/**
 * @param at The path of the block, for example `messages.0.content.1`.
 * @param pictures How many the request has.
 */
export function validateImage(block: JsonObject, at: string, pictures: number): ApiProblem | undefined {
  const source = block.source as JsonObject | undefined;
  const { media_type: mediaType, data } = source ?? {};
  const where = `${at}.image.source.base64`;
  if (typeof mediaType !== "string" || !imageTypes.includes(mediaType)) {
    return invalid(`${where}.media_type: Input should be one of ${imageTypes.join(", ")}`);
  }
  if (typeof data !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(data))
    return invalid(`${where}.data: Invalid base64 data`);
  if (data.length > mostBase64Bytes) {
    return invalid(`${where}: image exceeds 5 MB maximum: ${data.length} bytes > ${mostBase64Bytes} bytes`);
  }
  const header = readPictureHeader(Buffer.from(data, "base64"));
  // The API says no more than that, and not which picture it was.
  if (header === undefined) return invalid("Could not process image");
  if (header.mediaType !== mediaType) {
    return invalid(
      `${where}.data: The image was specified using the ${mediaType} media type, but the image appears to be a ${header.mediaType} image`,
    );
  }
  const longest = Math.max(header.width, header.height);
  if (longest > mostPixels) {
    return invalid(`${where}.data: At least one of the image dimensions exceed max allowed size: ${mostPixels} pixels`);
  }
  if (pictures > manyPictures && longest > mostPixelsOfMany) {
    return invalid(
      `${where}.data: At least one of the image dimensions exceed max allowed size for many-image requests: ${mostPixelsOfMany} pixels`,
    );
  }
  return undefined;
}
