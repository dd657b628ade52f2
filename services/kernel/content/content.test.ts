import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { countBytes } from "./count-bytes.ts";
import { decodeBase64 } from "./decode-base64.ts";
import { decodeText } from "./decode-text.ts";
import { readPictureSize } from "./picture-size.ts";
import { gif, jpeg, otherPictures, png, webp } from "./pictures.fixture.ts";
import { maxPictureBytes, readPicture } from "./read-picture.ts";
import { sniffMedia } from "./sniff-media.ts";

const size = { widthPx: 300, heightPx: 200 };

describe(`what bytes are ${verifies("FA3", "F1")}`, () => {
  test.each<[string, Buffer, string]>([
    ["a PNG", png(300, 200), "image/png"],
    ["a baseline JPEG", jpeg(300, 200), "image/jpeg"],
    ["a progressive JPEG", jpeg(300, 200, { marker: 0xc2 }), "image/jpeg"],
    [
      "a JPEG with EXIF and fill bytes in front of a marker",
      jpeg(300, 200, { exifBytes: 60_000, fill: 5 }),
      "image/jpeg",
    ],
    ["a GIF", gif(300, 200), "image/gif"],
    ["a lossy WebP", webp("VP8 ", 300, 200), "image/webp"],
    ["a lossless WebP", webp("VP8L", 300, 200), "image/webp"],
    ["an extended WebP", webp("VP8X", 300, 200), "image/webp"],
  ])("tells %s and its size", (_name, bytes, mediaType) => {
    expect(readPicture(bytes)).toEqual({ kind: "viewable", mediaType, ...size });
  });

  test.each(Object.entries(otherPictures))("names %s, which models are not shown", (mediaType, bytes) => {
    expect(readPicture(bytes)).toMatchObject({ kind: "not-viewable", mediaType });
  });

  test.each<[Buffer, string]>([
    [Buffer.from("RIFF\0\0\0\0WAVEfmt "), "audio/wav"],
    [Buffer.from([0xff, 0xfb, 0x90, 0x64]), "audio/mpeg"],
    [Buffer.from("ID3\x04\0\0"), "audio/mpeg"],
    [Buffer.from("OggS\0\x02"), "audio/ogg"],
    [Buffer.from("fLaC\0"), "audio/flac"],
    [Buffer.from("\0\0\0\x20ftypM4A \0\0"), "audio/mp4"],
    [Buffer.from("\0\0\0\x20ftypisom\0\0"), "video/mp4"],
    [Buffer.from("\x1a\x45\xdf\xa3", "latin1"), "video/webm"],
    [Buffer.from("%PDF-1.7\n"), "application/pdf"],
    [Buffer.from("\n\n%PDF-1.7\n"), "application/pdf"],
  ])("tells sound, films and documents: %#", (bytes, mediaType) => {
    expect(sniffMedia(bytes)?.mediaType).toBe(mediaType);
    expect(readPicture(bytes).kind).toBe("no-picture");
  });

  test.each(["", "BM", "BMW is a car, and this is a text", "\ufeffhello", "see %PDF-1.7", "<svgs>", "<p><svg>", "II"])(
    "takes %j for nothing but text",
    (text) => {
      expect(sniffMedia(Buffer.from(text))).toBeUndefined();
      expect(sniffMedia(Buffer.from(text, "utf16le"))).toBeUndefined();
    },
  );

  it("says of headers that are cut short that they are, wherever they are cut", () => {
    for (const whole of [png(), jpeg(2, 2, { exifBytes: 40 }), gif(), webp("VP8 "), webp("VP8L"), webp("VP8X")]) {
      const { mediaType = "" } = sniffMedia(whole) ?? {};
      const readable = [...whole.keys()].find((length) => readPictureSize(whole.subarray(0, length), mediaType));
      for (let length = 0; length < (readable ?? 0); length++) {
        const reading = readPicture(whole.subarray(0, length));
        expect(reading.kind).not.toBe("viewable");
        if (reading.kind === "not-viewable") expect(reading.problem).toMatch(/header/);
      }
    }
  });

  it("reads nothing out of random bytes behind a magic number, and never throws", () => {
    const magics = [png(), jpeg(), gif(), webp("VP8 "), webp("VP8L"), webp("VP8X"), ...Object.values(otherPictures)];
    fc.assert(
      fc.property(fc.constantFrom(...magics), fc.nat(40), fc.uint8Array({ maxLength: 100 }), (magic, kept, rest) => {
        const reading = readPicture(Buffer.concat([magic.subarray(0, kept), rest]));
        if (reading.kind === "viewable") expect(Math.max(reading.widthPx, reading.heightPx)).toBeLessThanOrEqual(8_000);
        else expect(reading.problem).not.toBe("");
      }),
      { numRuns: 2_000 },
    );
  });

  it("looks at hostile markup once, not in every way that it can be read", () => {
    // A pattern with a repeated group would take longer than the world has been there.
    expect(sniffMedia(Buffer.from("<!---->".repeat(100_000)))).toBeUndefined();
    expect(sniffMedia(Buffer.from("<!---->".repeat(100) + "<svg>"))).toEqual({
      kind: "picture",
      mediaType: "image/svg+xml",
    });
  });
});

describe(`a picture that is too large for a model ${verifies("FA4", "FA5")}`, () => {
  test.each<[Buffer, string]>([
    [png(8_001, 1), "8001 × 1 pixels"],
    [png(1, 8_001), "1 × 8001 pixels"],
    [jpeg(9_000, 9_000, { marker: 0xc2 }), "9000 × 9000 pixels"],
    [webp("VP8X", 100_000, 2), "100000 × 2 pixels"],
    [png(2, 2, maxPictureBytes), "at most 3 750 000 bytes"],
  ])("is named with its size: %#", (bytes, words) => {
    expect(readPicture(bytes)).toMatchObject({ kind: "not-viewable", problem: expect.stringContaining(words) });
  });

  it("is not one of 8 000 pixels a side, or of 3 MB", () => {
    for (const bytes of [png(8_000, 8_000), gif(8_000, 8_000), png(2, 2, 3_000_000)])
      expect(readPicture(bytes).kind).toBe("viewable");
  });
});

describe("base64", () => {
  test.each([
    ["aGk=", "hi"],
    ["aGk", "hi"],
    ["aG\r\nk=\n", "hi"],
    ["data:image/png;base64,aGk=", "hi"],
    ["-_-_", Buffer.from("+/+/", "base64").toString("latin1")],
    ["", ""],
  ])("is read as it is found: %j", (text, bytes) => {
    expect(Buffer.from(decodeBase64(text) ?? "nothing").toString("latin1")).toBe(bytes);
  });

  test.each(["a", "not base64!", "aGk=x", "====", "ä"])("is not %j", (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  it("round trips", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom("base64", "base64url"), (bytes, form) => {
        expect(Buffer.from(decodeBase64(Buffer.from(bytes).toString(form)) ?? [])).toEqual(Buffer.from(bytes));
      }),
    );
  });
});

describe(`bytes that are text ${verifies("FA9")}`, () => {
  test.each<[string, Buffer, string]>([
    ["text/plain", Buffer.from("grün"), "grün"],
    ["application/json", Buffer.from("{}"), "{}"],
    ["application/vnd.api+json; charset=utf-8", Buffer.from("{}"), "{}"],
    ["text/yaml", Buffer.from("a: 1"), "a: 1"],
    ["image/svg+xml", Buffer.from("<svg/>"), "<svg/>"],
    ["text/html; charset=ISO-8859-1", Buffer.from("grün", "latin1"), "grün"],
    ["text/plain", Buffer.from("\ufeffgrün", "utf16le"), "grün"],
    ["text/plain", Buffer.from("\ufeffx"), "x"],
    ["", Buffer.from("a line\nand another\x1b[0m"), "a line\nand another\x1b[0m"],
    ["application/octet-stream", Buffer.from("name,age\nAda,36\n"), "name,age\nAda,36\n"],
  ])("are read as %s", (mediaType, bytes, text) => {
    expect(decodeText(bytes, mediaType)).toBe(text);
  });

  test.each<[string, Buffer]>([
    ["text/plain", Buffer.from([0xff, 0x00, 0xfe])],
    ["text/plain; charset=klingon", Buffer.from("x")],
    ["", Buffer.from([1, 2, 3])],
    ["application/octet-stream", Buffer.from([0xc3])],
    ["application/zip", Buffer.from("PK, as text")],
    ["text/plain", Buffer.from("%PDF-1.7")],
  ])("are not read as %s when they are none", (mediaType, bytes) => {
    expect(decodeText(bytes, mediaType)).toBeUndefined();
  });
});

test("numbers of bytes are written for people", () => {
  expect([1, 999, 1_203, 1_234_567].map(countBytes)).toEqual(["1 byte", "999 bytes", "1 203 bytes", "1 234 567 bytes"]);
});
