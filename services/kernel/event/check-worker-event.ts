/**
 * Judges an event that a worker wants to append, before the server's fields are added to its bytes.
 *
 * Keeps: architecture.md, Event model, Bytes: exactly one body of a kind that a worker may write, no server field, and
 * the run that the worker holds. What is allowed can be decoded by every reader: one body that can't would break every
 * page of the log that it stands in. Deltas, nearly all events, are only walked; other bodies are decoded.
 */
import { isUtf8 } from "node:buffer";
import { fromBinary, getOption, toJson } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { Writer, writer } from "../../../gen/atoll/event/v1/writer_pb.ts";
import { maxEventBytes } from "./event-bounds.ts";
import { jsonRegistry } from "./json-registry.ts";
import { lengthDelimitedWireType, MalformedWire, varintWireType, WireReader } from "./wire/wire-reader.ts";

const runIdField = 4;
const stepField = 5;
const attemptField = 6;
const textDeltaField = 7;
const thinkingDeltaField = 8;

/** Fields of TextDelta and ThinkingDelta. */
const blockIdField = 1;
const offsetField = 2;
const textField = 3;

/** The server adds its fields to it. */
const maxWorkerEventBytes = maxEventBytes - 256;

/** Text up to this length is looked at here, whether it is ASCII. */
const maxLookedAtBytes = 64;

/** Field numbers of atoll.event.v1.Event.body that a worker may write, as the contract says it (L6). */
const workerBodies: ReadonlySet<number> = new Set(
  (EventSchema.oneofs[0]?.fields ?? [])
    .filter((field) => getOption(field, writer) === Writer.WORKER)
    .map(({ number }) => number),
);

/** What the check found. */
export type WorkerEventCheck =
  /** `decoded` is undefined for a delta. */
  | { readonly kind: "allowed"; readonly decoded: Event | undefined }
  /** `problem` is for people and names the field. */
  | { readonly kind: "refused"; readonly problem: string };

/** Checks one encoded event of the run `runId`. */
export function checkWorkerEvent(encoded: Uint8Array, runId: string): WorkerEventCheck {
  if (encoded.length > maxWorkerEventBytes) {
    return refused(`the event has ${encoded.length} bytes: at most ${maxWorkerEventBytes} can be read by every client`);
  }
  try {
    return walk(new WireReader(encoded), runId);
  } catch (error) {
    if (error instanceof MalformedWire) {
      return refused(`the event is not a Protobuf message: ${error.message}`);
    }
    throw error;
  }
}

function walk(reader: WireReader, runId: string): WorkerEventCheck {
  let body = 0;
  let runIdSeen = false;
  while (reader.at < reader.end) {
    const tag = reader.readTag();
    const field = tag >>> 3;
    const wireType = tag & 7;
    switch (field) {
      case 1:
      case 2:
      case 3:
        return refused(`field ${field} is set by the session service`);
      case runIdField: {
        if (runIdSeen || wireType !== lengthDelimitedWireType) {
          return refused("run_id must be there once, as a string");
        }
        runIdSeen = true;
        const end = reader.readLengthEnd();
        if (!spells(reader.bytes.subarray(reader.at, end), runId)) {
          return refused("run_id is not the run of this batch");
        }
        reader.at = end;
        break;
      }
      case stepField:
      case attemptField:
        if (wireType !== varintWireType) {
          return refused(`field ${field} must be a number`);
        }
        reader.skip(wireType);
        break;
      default:
        if (!workerBodies.has(field)) {
          return refused(`a worker may not write field ${field}`);
        }
        if (body !== 0) {
          return refused(`the event has two bodies, fields ${body} and ${field}`);
        }
        if (wireType !== lengthDelimitedWireType) {
          return refused(`field ${field} must be a message`);
        }
        body = field;
        if (field === textDeltaField || field === thinkingDeltaField) {
          const problem = walkDelta(reader, reader.readLengthEnd());
          if (problem !== undefined) {
            return refused(`field ${field}: ${problem}`);
          }
        } else {
          reader.skip(wireType);
        }
    }
  }
  if (!runIdSeen) {
    return refused("run_id is missing");
  }
  switch (body) {
    case 0:
      return refused("the event has no body");
    case textDeltaField:
    case thinkingDeltaField:
      return { kind: "allowed", decoded: undefined };
    default:
      return decode(reader.bytes, body);
  }
}

/** Walks the inside of a delta, up to `end`; says what is wrong with it. Throws `MalformedWire`. */
function walkDelta(reader: WireReader, end: number): string | undefined {
  while (reader.at < end) {
    const tag = reader.readTag();
    const field = tag >>> 3;
    const wireType = tag & 7;
    switch (field) {
      case blockIdField:
      case textField: {
        if (wireType !== lengthDelimitedWireType) {
          return `field ${field} must be a string`;
        }
        const valueEnd = reader.readLengthEnd();
        if (!isText(reader.bytes, reader.at, valueEnd)) {
          return `field ${field} is not UTF-8`;
        }
        reader.at = valueEnd;
        break;
      }
      case offsetField:
        if (wireType !== varintWireType) {
          return "field 2 must be a number";
        }
        reader.skip(wireType);
        break;
      default:
        reader.skip(wireType);
    }
  }
  return reader.at === end ? undefined : "a field is longer than the message that it stands in";
}

/** Whether the bytes are UTF-8. Most deltas are a few letters of ASCII: looking at them costs less than a native call. */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start <= maxLookedAtBytes) {
    let at = start;
    while (at < end && (bytes[at] ?? 0) < 0x80) at++;
    if (at === end) return true;
  }
  return isUtf8(bytes.subarray(start, end));
}

/** Whatever the decoder throws is about these bytes. So is what JSON can't say, such as a time after the year 9999. */
function decode(encoded: Uint8Array, body: number): WorkerEventCheck {
  try {
    const decoded = fromBinary(EventSchema, encoded);
    toJson(EventSchema, decoded, { registry: jsonRegistry });
    return { kind: "allowed", decoded };
  } catch (error) {
    return refused(`field ${body} can't be decoded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Compares without decoding; ids are ASCII by pattern, so a byte is a character. */
function spells(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) {
    return false;
  }
  for (let index = 0; index < bytes.length; index++) {
    if (bytes[index] !== text.charCodeAt(index)) {
      return false;
    }
  }
  return true;
}

function refused(problem: string): WorkerEventCheck {
  return { kind: "refused", problem };
}
