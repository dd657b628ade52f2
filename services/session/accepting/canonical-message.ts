/**
 * One encoding for messages that say the same, whatever program encoded them: maps in the order of their keys, fields
 * that this build does not know left out, because it does not act on them either.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/** Encodes the message; its maps are put in order in place. */
export function encodeCanonically<Schema extends DescMessage>(
  schema: Schema,
  message: MessageShape<Schema>,
): Uint8Array {
  orderMaps(reflect(schema, message));
  return toBinary(schema, message, { writeUnknownFields: false });
}

function orderMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    switch (field.fieldKind) {
      case "message": {
        const inner = message.get(field);
        orderMaps(inner);
        // A Struct is handed out as a copy.
        message.set(field, inner);
        break;
      }
      case "list":
        if (field.listKind === "message") for (const item of message.get(field)) orderMaps(item as ReflectMessage);
        break;
      case "map": {
        const map = message.get(field);
        const entries = [...map.entries()].sort(([a], [b]) => compareKeys(a, b));
        if (field.mapKind === "message") for (const [, value] of entries) orderMaps(value as ReflectMessage);
        map.clear();
        for (const [key, value] of entries) map.set(key, value);
        break;
      }
      default:
        break;
    }
  }
}

/** By code unit, never by the language of the machine. */
function compareKeys(a: unknown, b: unknown): number {
  const [one, other] = [String(a), String(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}
