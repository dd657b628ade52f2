/**
 * The bounds that the contract writes on its own fields (`buf.validate`), read from the descriptor.
 *
 * Keeps L6: no bound of a setting is repeated here. A rule that this file does not know throws, so that a rule added to
 * the proto can't be passed over in silence.
 */
import { type DescExtension, type DescField, getOption, isMessage, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { file_atoll_config_v1_mesh_config } from "../../../../gen/atoll/config/v1/mesh_config_pb.ts";

export interface FieldRules {
  /** Unicode characters. */
  readonly maxCharacters?: number;
  /** UTF-8 bytes. */
  readonly maxBytes?: number;
  /** The only words allowed; "" stands for the default and is left out. */
  readonly words?: readonly string[];
  readonly pattern?: string;
  /** The greatest number. */
  readonly max?: number;
  readonly minCharacters?: number;
  readonly maxItems?: number;
  /** Rules of a map's keys. */
  readonly keys?: FieldRules;
  /** Rules of a map's values. */
  readonly values?: FieldRules;
}

const fieldOption = findFieldOption();

/** The option's own message, found through our contract's imports: its library has its door elsewhere (L8). */
function findFieldOption(): DescExtension & { fieldKind: "message" } {
  const file = file_atoll_config_v1_mesh_config.dependencies.find(({ name }) => name === "buf/validate/validate");
  const option = file?.extensions.find(({ name }) => name === "field");
  if (option?.fieldKind !== "message") throw new TypeError("the configuration's contract does not import buf/validate");
  return option;
}

/** The rules of a field. */
export function rulesOf(field: DescField): FieldRules {
  const option: unknown = getOption(field, fieldOption);
  if (!isMessage(option)) throw new TypeError(`${String(field)} has no readable rules`);
  return readRules(option, String(field));
}

function readRules(option: Message, where: string): FieldRules {
  const found: Record<string, unknown> = {};
  for (const [typeName, rules] of setFields(option)) {
    if (!isMessage(rules)) throw new TypeError(`${where}: unknown rule ${typeName}`);
    for (const [name, value] of setFields(rules)) {
      const [key, known] = readRule(`${typeName}.${name}`, value, where);
      found[key] = known;
    }
  }
  return found;
}

function readRule(name: string, value: unknown, where: string): [keyof FieldRules, unknown] {
  switch (name) {
    case "string.max_len":
      return ["maxCharacters", Number(value)];
    case "string.min_len":
      return ["minCharacters", Number(value)];
    case "string.max_bytes":
      return ["maxBytes", Number(value)];
    case "string.in":
      return ["words", [...(value as Iterable<string>)].filter((word) => word !== "")];
    case "string.pattern":
      return ["pattern", value];
    case "uint32.lte":
    case "uint64.lte":
      return ["max", Number(value)];
    case "repeated.max_items":
    case "map.max_pairs":
      return ["maxItems", Number(value)];
    case "map.keys":
      if (isMessage(value)) return ["keys", readRules(value, where)];
      break;
    case "map.values":
      if (isMessage(value)) return ["values", readRules(value, where)];
      break;
  }
  throw new TypeError(`${where}: the configuration does not know the rule ${name}`);
}

function setFields(message: Message): [string, unknown][] {
  const desc = descOf(message);
  const reflected = reflect(desc, message);
  return desc.fields
    .filter((field) => reflected.isSet(field))
    .map((field) => {
      const value: unknown = reflected.get(field);
      return [field.name, isReflected(value) ? value.message : value];
    });
}

function isReflected(value: unknown): value is { readonly message: Message } {
  return typeof value === "object" && value !== null && "message" in value && isMessage(value.message);
}

function descOf(message: Message) {
  const desc = fieldOption.message.file.messages.find(({ typeName }) => typeName === message.$typeName);
  if (desc === undefined) throw new TypeError(`${message.$typeName} is not a rule`);
  return desc;
}
