// Prints a file descriptor as .proto source that compiles to the same descriptor. Comments are not in a descriptor and
// so not in the print. Keeps L9: what it cannot print (services, groups, editions, unknown options) it refuses.
import { type DescExtension, type DescFile, type DescMessage, isFieldSet } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  EnumOptionsSchema,
  EnumValueOptionsSchema,
  ExtensionRangeOptionsSchema,
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileOptionsSchema,
  FieldDescriptorProto_Label as Label,
  MessageOptionsSchema,
  OneofOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { printOptionValues } from "./print-option-values.ts";

/** The largest field number + 1: the end of an extension range that is written `to max`. */
const maxExclusive = 536_870_912;

/** Returns the source of `file` (proto2 or proto3), beginning with the lines of `header` as comments. */
export function printProto(file: DescFile, header: string): string {
  const proto = file.proto;
  const syntax = proto.syntax || "proto2";
  if (syntax !== "proto2" && syntax !== "proto3") throw refuse(proto.name, `syntax ${syntax}`);
  if (proto.service.length > 0) throw refuse(proto.name, "a service");
  const options = optionsOf(file.extensions);
  const publicImports = new Set(proto.publicDependency);

  const printField = (field: FieldDescriptorProto, parent: DescriptorProto | undefined): string => {
    const value = `${field.name} = ${field.number}${options.inline(FieldOptionsSchema, field.options, defaultOf(field))};`;
    const entry = parent?.nestedType.find((type) => type.options?.mapEntry && field.typeName.endsWith(`.${type.name}`));
    const [key, item] = entry?.field ?? [];
    if (key && item) return `map<${typeOf(key)}, ${typeOf(item)}> ${value}`;
    return `${labelOf(field, syntax)}${typeOf(field)} ${value}`;
  };

  const printExtensions = (extensions: readonly FieldDescriptorProto[]): string[] =>
    [...new Set(extensions.map((extension) => extension.extendee))].flatMap((extendee) => {
      const fields = extensions.filter((extension) => extension.extendee === extendee);
      return block(
        `extend ${extendee}`,
        fields.map((field) => printField(field, undefined)),
      );
    });

  const printEnum = (type: (typeof proto.enumType)[number]): string[] =>
    block(`enum ${type.name}`, [
      ...options.lines(EnumOptionsSchema, type.options),
      ...type.value.map((v) => `${v.name} = ${v.number}${options.inline(EnumValueOptionsSchema, v.options)};`),
      // An enum's reserved range ends inclusively, a message's exclusively.
      ...type.reservedRange.map((range) => `reserved ${range.start} to ${range.end};`),
      ...printReservedNames(type.reservedName),
    ]);

  const printMessage = (message: DescriptorProto): string[] => {
    const oneofs = message.oneofDecl.map((oneof, index) => ({
      oneof,
      fields: message.field.filter((field) => oneofIndexOf(field) === index),
    }));
    return block(`message ${message.name}`, [
      ...options.lines(MessageOptionsSchema, message.options),
      ...message.field.filter((field) => oneofIndexOf(field) === undefined).map((field) => printField(field, message)),
      ...oneofs.flatMap(({ oneof, fields }) => {
        if (fields.length === 0) return [];
        const lines = fields.map((field) => printField(field, message));
        return block(`oneof ${oneof.name}`, [...options.lines(OneofOptionsSchema, oneof.options), ...lines]);
      }),
      ...message.extensionRange.map((range) => {
        const last = range.end === maxExclusive ? "max" : String(range.end - 1);
        return `extensions ${range.start} to ${last}${options.inline(ExtensionRangeOptionsSchema, range.options)};`;
      }),
      ...message.reservedRange.map((range) => `reserved ${range.start} to ${range.end - 1};`),
      ...printReservedNames(message.reservedName),
      ...message.nestedType.filter((type) => !type.options?.mapEntry).flatMap(printMessage),
      ...message.enumType.flatMap(printEnum),
      ...printExtensions(message.extension),
    ]);
  };

  return [
    ...header.split("\n").map((line) => `// ${line}`.trimEnd()),
    `syntax = "${syntax}";`,
    ...(proto.package ? ["", `package ${proto.package};`] : []),
    "",
    ...proto.dependency.map((path, index) => `import ${publicImports.has(index) ? "public " : ""}"${path}";`),
    "",
    ...options.lines(FileOptionsSchema, proto.options),
    "",
    ...printExtensions(proto.extension),
    ...proto.messageType.flatMap(printMessage),
    ...proto.enumType.flatMap(printEnum),
    "",
  ].join("\n");
}

function refuse(name: string, what: string): Error {
  return new Error(`cannot print ${name}: it holds ${what}, which this printer does not know`);
}

function block(head: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [`${head} {}`] : [`${head} {`, ...lines.map((line) => `  ${line}`), "}"];
}

function printReservedNames(names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`reserved ${names.map((name) => JSON.stringify(name)).join(", ")};`];
}

function typeOf(field: FieldDescriptorProto): string {
  if (field.type === Type.GROUP) throw refuse(field.name, "a group");
  // The type's own name with its leading dot is always resolvable, wherever the field stands.
  return field.typeName || (Type[field.type] ?? "").toLowerCase();
}

/** The oneof that the source wrote the field in; undefined for none, and for the synthetic one of `optional`. */
function oneofIndexOf(field: FieldDescriptorProto): number | undefined {
  const isMember = isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex) && !field.proto3Optional;
  return isMember ? field.oneofIndex : undefined;
}

function labelOf(field: FieldDescriptorProto, syntax: "proto2" | "proto3"): string {
  if (field.label === Label.REPEATED) return "repeated ";
  if (field.label === Label.REQUIRED) return "required ";
  if (oneofIndexOf(field) !== undefined) return "";
  return syntax === "proto2" || field.proto3Optional ? "optional " : "";
}

function defaultOf(field: FieldDescriptorProto): string[] {
  if (!isFieldSet(field, FieldDescriptorProtoSchema.field.defaultValue)) return [];
  if (field.type === Type.STRING) return [`default = ${JSON.stringify(field.defaultValue)}`];
  // A bytes default is stored escaped already.
  return [`default = ${field.type === Type.BYTES ? `"${field.defaultValue}"` : field.defaultValue}`];
}

/** Printers of options: as statements of a body, and in the brackets behind a field. */
function optionsOf(extensions: readonly DescExtension[]) {
  const list = (schema: DescMessage, options: Parameters<typeof printOptionValues>[1] | undefined) =>
    options ? printOptionValues(schema, options, extensions) : [];
  return {
    lines: (schema: DescMessage, options: Parameters<typeof list>[1]) =>
      list(schema, options).map((option) => `option ${option};`),
    inline: (schema: DescMessage, options: Parameters<typeof list>[1], first: readonly string[] = []) => {
      const all = [...first, ...list(schema, options)];
      return all.length === 0 ? "" : ` [${all.join(", ")}]`;
    },
  };
}
