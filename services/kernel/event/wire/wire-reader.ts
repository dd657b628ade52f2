/**
 * Walks the top level of a Protobuf message without decoding it.
 *
 * Keeps: nothing outside the bytes is read, and what a decoder could read differently (a tag over 32 bits, a group, an
 * overlong varint) is malformed here, so that a check made with this walker holds for every decoder.
 */

/** The bytes are not a Protobuf message. */
export class MalformedWire extends Error {
  override readonly name = "MalformedWire";
}

/** Wire type of a varint. */
export const varintWireType = 0;
/** Wire type of strings, bytes and messages. */
export const lengthDelimitedWireType = 2;

const fixed64WireType = 1;
const fixed32WireType = 5;
const maxVarintBytes = 10;
const maxTag = 0xffff_ffff;

/** A position in an encoded message. */
export class WireReader {
  readonly bytes: Uint8Array;
  /** Offset of the next byte. */
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Reads a tag: field number × 8 + wire type. Throws `MalformedWire`. */
  readTag(): number {
    const tag = this.readVarint();
    if (tag > maxTag || tag < 8) {
      throw new MalformedWire(`no field has the tag ${tag}`);
    }
    return tag;
  }

  /** Reads a varint; a value over 2^53−1 loses precision, never size. Throws `MalformedWire`. */
  readVarint(): number {
    const { bytes, end } = this;
    let at = this.at;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < maxVarintBytes; count++) {
      const byte = bytes[at];
      if (at >= end || byte === undefined) {
        throw new MalformedWire("a varint is cut short");
      }
      at++;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.at = at;
        return value;
      }
      scale *= 0x80;
    }
    throw new MalformedWire(`a varint is longer than ${maxVarintBytes} bytes`);
  }

  /** Reads a length and returns the offset where the value that begins now ends. Throws `MalformedWire`. */
  readLengthEnd(): number {
    const length = this.readVarint();
    const valueEnd = this.at + length;
    if (valueEnd > this.end) {
      throw new MalformedWire("a field is longer than what is left");
    }
    return valueEnd;
  }

  /** Steps over the value of a field. Throws `MalformedWire`. */
  skip(wireType: number): void {
    switch (wireType) {
      case varintWireType:
        this.readVarint();
        return;
      case lengthDelimitedWireType:
        this.at = this.readLengthEnd();
        return;
      case fixed64WireType:
        this.skipBytes(8);
        return;
      case fixed32WireType:
        this.skipBytes(4);
        return;
      default:
        throw new MalformedWire(`wire type ${wireType} is not in use`);
    }
  }

  private skipBytes(count: number): void {
    this.at += count;
    if (this.at > this.end) {
      throw new MalformedWire("a fixed field is cut short");
    }
  }
}
