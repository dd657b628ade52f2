/** Names of types as people write them, and what JSON Schema calls them. */

const byName: Readonly<Record<string, readonly string[]>> = {
  string: [
    "str",
    "text",
    "varchar",
    "char",
    "date",
    "time",
    "datetime",
    "date-time",
    "timestamp",
    "uuid",
    "uri",
    "url",
    "email",
    "password",
    "file",
    "binary",
    "byte",
    "bytes",
  ],
  integer: [
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "long",
    "short",
    "bigint",
  ],
  number: ["float", "float32", "float64", "double", "decimal", "num", "numeric", "real"],
  boolean: ["bool"],
  array: ["list", "tuple", "set", "sequence", "vector"],
  object: ["dict", "dictionary", "map", "mapping", "struct", "record", "hash", "json"],
  null: ["none", "nil", "undefined", "void"],
};
const anything = new Set(["any", "unknown", "mixed", "*", ""]);
const names = new Map(
  Object.entries(byName).flatMap(([type, others]) => [type, ...others].map((name) => [name, type])),
);

/** A type of JSON Schema; `any` when every value is meant; undefined when nobody knows what is meant. */
export function readTypeName(name: string): string | undefined {
  const plain = name.trim().toLowerCase();
  return anything.has(plain) ? "any" : names.get(plain);
}
