// Prints the options that are set on a descriptor as `name = value` in Protobuf text format, custom options included
// when their extension is given. Keeps L9: an option of an unknown extension is refused, not left out.
import { type DescExtension, type DescField, type DescMessage, getExtension, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";

/** Returns one `name = value` for each option set in `options`; a repeated option gives one for each element. */
export function printOptionValues(
  schema: DescMessage,
  options: Message,
  extensions: readonly DescExtension[],
): readonly string[] {
  const own = printSetFields(schema, options).map(({ name, value, isMessage }) =>
    isMessage ? `${name} = {${value}}` : `${name} = ${value}`,
  );
  const custom = (options.$unknown ?? []).map(({ no }) => {
    const extension = extensions.find((known) => known.extendee.typeName === schema.typeName && known.number === no);
    if (extension?.fieldKind !== "message") throw new Error(`cannot print option ${no} of ${schema.typeName}`);
    const value = getExtension(options, extension) as Message;
    return `(${extension.typeName}) = {${printMessageValue(extension.message, value)}}`;
  });
  return [...own, ...custom];
}

function printMessageValue(schema: DescMessage, message: Message): string {
  return printSetFields(schema, message)
    .map(({ name, value, isMessage }) => (isMessage ? `${name} {${value}}` : `${name}: ${value}`))
    .join(", ");
}

interface PrintedField {
  readonly name: string;
  readonly value: string;
  readonly isMessage: boolean;
}

function printSetFields(schema: DescMessage, message: Message): PrintedField[] {
  const values = reflect(schema, message);
  return schema.fields
    .filter((field) => values.isSet(field))
    .flatMap((field) => {
      const value = values.get(field) as unknown;
      const items = field.fieldKind === "list" ? [...(value as Iterable<unknown>)] : [value];
      return items.map((item) => printFieldValue(field, item));
    });
}

function printFieldValue(field: DescField, value: unknown): PrintedField {
  if (field.fieldKind === "map") throw new Error(`cannot print ${field.toString()}: a map`);
  if (field.message) {
    const { message } = value as { message: Message };
    return { name: field.name, value: printMessageValue(field.message, message), isMessage: true };
  }
  const text = field.enum ? (field.enum.value[value as number]?.name ?? String(value)) : printScalar(value);
  return { name: field.name, value: text, isMessage: false };
}

function printScalar(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    default:
      throw new Error(`cannot print a ${typeof value} in an option`);
  }
}
