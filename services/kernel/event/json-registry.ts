/**
 * What JSON needs to know of types that only their makers know (google.protobuf.Any, ContentBlock.extension).
 *
 * Keeps S6 for readers of JSON: an event with such content is told like every other one. JSON carries the type's name
 * then; the value is for readers of the binary form, who get it untouched.
 */
import type { DescMessage, Registry } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";

/** For `jsonOptions.registry` and toJson. An unknown type is read as a message without known fields. */
export const jsonRegistry: Registry = {
  kind: "registry",
  [Symbol.iterator]: () => [][Symbol.iterator](),
  get: () => undefined,
  getMessage: (typeName) => unknownMessage(typeName),
  getEnum: () => undefined,
  getExtension: () => undefined,
  getExtensionFor: () => undefined,
  getService: () => undefined,
};

/** Made anew each time: names come from clients, and what is kept of them would grow. */
function unknownMessage(typeName: string): DescMessage {
  return { ...EmptySchema, typeName };
}
