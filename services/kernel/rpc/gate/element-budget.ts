/**
 * Counts what a request is made of before it is decoded: a decoder takes a microsecond and a hundred bytes for an element
 * that costs its sender two bytes, so that 4 MiB would hold the event loop for seconds.
 *
 * Keeps F4: what is refused costs a walk over its bytes, which ends at the bound. Elements are all fields of all messages, the
 * entries of lists, maps and structures among them; in JSON all values.
 */
import type { DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";
import { ErrorReason, failure } from "../../errors.ts";
import { ruleOf } from "./method-rule.ts";

/** A message that is not larger can't have so many elements that it matters. */
export const smallBytes = 16_384;

/** Fields whose content counts: messages, and numbers of which many stand in one field. */
type Shape = Map<number, Shape | "packed">;

const shapes = new WeakMap<DescMessage, Shape>();

/** Errors: FIELD_INVALID for more elements than the RPC takes, MALFORMED_MESSAGE for groups, which no contract has. */
export function checkElements(method: DescMethod, bytes: Uint8Array, format: "binary" | "json"): void {
  if (bytes.length <= smallBytes) return;
  const { maxElements } = ruleOf(method);
  const count = { left: maxElements };
  const isFine = format === "json" ? countJson(bytes, count) : countBinary(bytes, shapeOf(method.input), count);
  if (isFine) return;
  const problem = `has more than ${maxElements} elements (fields, entries of lists, maps and structures): send less at once`;
  throw failure(ErrorReason.FIELD_INVALID, `the request ${problem}`, { fields: [{ path: "", problem }] });
}

function shapeOf(message: DescMessage): Shape {
  const known = shapes.get(message);
  if (known !== undefined) return known;
  const shape: Shape = new Map();
  // Before its fields: a message may contain itself.
  shapes.set(message, shape);
  for (const field of message.fields) {
    const content = contentOf(field);
    if (content !== undefined) shape.set(field.number, content);
  }
  return shape;
}

function contentOf(field: DescField): Shape | "packed" | undefined {
  switch (field.fieldKind) {
    case "message":
      return shapeOf(field.message);
    case "list":
      if (field.listKind === "message") return shapeOf(field.message);
      return field.packed ? "packed" : undefined;
    case "map":
      return field.mapKind === "message" ? new Map([[2, shapeOf(field.message)]]) : new Map();
    default:
      return undefined;
  }
}

interface Place {
  readonly bytes: Uint8Array;
  at: number;
}

/** False when the count has run out. What is malformed is left to the decoder, which stops where this stops. */
function countBinary(bytes: Uint8Array, shape: Shape, count: { left: number }): boolean {
  const place = { bytes, at: 0 };
  return countMessage(place, bytes.length, shape, count, 0) !== "over";
}

/** As deep as the decoder goes. */
const maxDepth = 100;

function countMessage(
  place: Place,
  end: number,
  shape: Shape,
  count: { left: number },
  depth: number,
): "fine" | "over" | "malformed" {
  while (place.at < end) {
    count.left -= 1;
    if (count.left < 0) return "over";
    const tag = readVarint(place, end);
    if (tag === undefined) return "malformed";
    switch (tag & 7) {
      case 0:
        if (readVarint(place, end) === undefined) return "malformed";
        break;
      case 1:
        place.at += 8;
        break;
      case 2: {
        const length = readVarint(place, end);
        if (length === undefined || length > end - place.at) return "malformed";
        const content = shape.get(tag >>> 3);
        const contentEnd = place.at + length;
        if (content === "packed") count.left -= length;
        else if (content !== undefined) {
          if (depth >= maxDepth) return "malformed";
          const inner = countMessage(place, contentEnd, content, count, depth + 1);
          if (inner !== "fine") return inner;
        }
        place.at = contentEnd;
        break;
      }
      case 5:
        place.at += 4;
        break;
      default:
        throw failure(ErrorReason.MALFORMED_MESSAGE, "the request can't be decoded: it has a group");
    }
  }
  return "fine";
}

/** The value modulo 2^32, as lengths and tags are; undefined when it does not end. */
function readVarint(place: Place, end: number): number | undefined {
  let value = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    if (place.at >= end) return undefined;
    const byte = place.bytes[place.at] ?? 0;
    place.at += 1;
    if (shift < 32) value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value >>> 0;
  }
  return undefined;
}

const [quote, backslash, comma, brace, bracket] = [0x22, 0x5c, 0x2c, 0x7b, 0x5b];

/** Every value but the first of its list or object has a comma in front of it, every list and object a bracket. */
function countJson(bytes: Uint8Array, count: { left: number }): boolean {
  let isInText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (isInText) {
      if (byte === backslash) at += 1;
      else if (byte === quote) isInText = false;
    } else if (byte === quote) isInText = true;
    else if (byte === comma || byte === brace || byte === bracket) {
      count.left -= 1;
      if (count.left < 0) return false;
    }
  }
  return true;
}
