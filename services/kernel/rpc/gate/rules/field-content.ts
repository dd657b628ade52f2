import type { DescField, Message } from "@bufbuild/protobuf";

/** What stands in a field of a message that was decoded; undefined when nothing does. */
export function contentOf(message: Message, field: DescField): unknown {
  const fields = message as unknown as Readonly<Record<string, unknown>>;
  if (field.oneof === undefined) return fields[field.localName];
  const chosen = fields[field.oneof.localName] as { readonly case?: string; readonly value?: unknown } | undefined;
  return chosen?.case === field.localName ? chosen.value : undefined;
}
