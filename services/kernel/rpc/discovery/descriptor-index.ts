// Finds the proto file of a symbol, an extension or a name among the files that a list of services needs.
// Invariant: the index is closed; every import of an indexed file is indexed, so a client can link what it receives.
import type { DescEnum, DescExtension, DescFile, DescMessage, DescService } from "@bufbuild/protobuf";

export interface DescriptorIndex {
  /** Full names, in the order given. */
  readonly services: readonly string[];
  /** `name` is the import path, "google/protobuf/any.proto". */
  fileByName(name: string): DescFile | undefined;
  /** The full name of a service, method, message, field, oneof, enum, enum value or extension, without a leading dot. */
  fileOfSymbol(symbol: string): DescFile | undefined;
  fileOfExtension(extendee: string, fieldNumber: number): DescFile | undefined;
  /** Undefined when `message` is not a known message; in ascending order else. */
  extensionNumbers(message: string): readonly number[] | undefined;
}

export function indexDescriptors(services: readonly DescService[]): DescriptorIndex {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const messages = new Set<string>();
  const extensions = new Map<string, Map<number, DescFile>>();

  for (const file of services.flatMap((service) => listWithImports(service.file))) {
    if (files.has(file.proto.name)) continue;
    files.set(file.proto.name, file);
    for (const symbol of listSymbols(file)) symbols.set(symbol, file);
    for (const message of listMessages(file.messages)) messages.add(message.typeName);
    for (const { extendee, number } of listExtensions(file)) {
      const ofType = extensions.get(extendee.typeName) ?? new Map<number, DescFile>();
      extensions.set(extendee.typeName, ofType.set(number, file));
    }
  }

  return {
    services: services.map((service) => service.typeName),
    fileByName: (name) => files.get(name),
    fileOfSymbol: (symbol) => symbols.get(symbol),
    fileOfExtension: (extendee, fieldNumber) => extensions.get(extendee)?.get(fieldNumber),
    extensionNumbers(message) {
      if (!messages.has(message)) return undefined;
      return [...(extensions.get(message)?.keys() ?? [])].sort((a, b) => a - b);
    },
  };
}

/** The file, then everything that it imports, directly or not; each once. */
export function listWithImports(file: DescFile): DescFile[] {
  const seen = new Map<string, DescFile>([[file.proto.name, file]]);
  // A Map's iteration reaches entries that are added while it runs.
  for (const next of seen.values()) {
    for (const imported of next.dependencies) {
      if (!seen.has(imported.proto.name)) seen.set(imported.proto.name, imported);
    }
  }
  return [...seen.values()];
}

function* listSymbols(file: DescFile): Generator<string> {
  for (const service of file.services) {
    yield service.typeName;
    for (const method of service.methods) yield `${service.typeName}.${method.name}`;
  }
  for (const message of listMessages(file.messages)) {
    yield message.typeName;
    for (const field of message.fields) yield `${message.typeName}.${field.name}`;
    for (const oneof of message.oneofs) yield `${message.typeName}.${oneof.name}`;
    for (const nested of message.nestedEnums) yield* listEnumSymbols(nested);
  }
  for (const topLevel of file.enums) yield* listEnumSymbols(topLevel);
  for (const extension of listExtensions(file)) yield extension.typeName;
}

function* listEnumSymbols(desc: DescEnum): Generator<string> {
  yield desc.typeName;
  // Values are scoped like siblings of their enum.
  const scope = desc.typeName.slice(0, desc.typeName.length - desc.name.length);
  for (const value of desc.values) yield `${scope}${value.name}`;
}

function* listMessages(messages: readonly DescMessage[]): Generator<DescMessage> {
  for (const message of messages) {
    yield message;
    yield* listMessages(message.nestedMessages);
  }
}

function* listExtensions(file: DescFile): Generator<DescExtension> {
  yield* file.extensions;
  for (const message of listMessages(file.messages)) yield* message.nestedExtensions;
}
