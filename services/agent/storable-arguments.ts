/**
 * Whether a call's arguments can be stored in a log and read by everybody: what can't is refused to the model as that
 * call's error, once, and never reaches a log, a tool or the next request.
 */
import { create, type JsonObject, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { ToolCallProposedSchema } from "../../gen/atoll/event/v1/tool_events_pb.ts";

/**
 * Levels of objects and lists, the arguments themselves being the first. Each takes three messages of Protobuf, of which
 * decoders read 100 inside each other, and what an event stands in needs the rest.
 */
export const deepestArguments = 30;
/** Bytes of the arguments as Protobuf, which may be several times those of their JSON. */
const mostArgumentBytes = 2_097_152;

/** What is wrong, for the model; undefined when nothing is. */
export function problemOfArguments(args: JsonObject): string | undefined {
  const problem = problemOfValue(args, 1);
  if (problem !== undefined) return problem;
  try {
    const { length } = toBinary(ToolCallProposedSchema, create(ToolCallProposedSchema, { arguments: args }));
    return length > mostArgumentBytes ? `The arguments take more than ${mostArgumentBytes} bytes.` : undefined;
  } catch (error) {
    return `The arguments can't be stored: ${String(error).slice(0, 200).toWellFormed()}`;
  }
}

function problemOfValue(value: JsonValue, level: number): string | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? undefined : "The arguments have a number that is too large to be one.";
    case "string":
      return value.isWellFormed() ? undefined : "The arguments have half a surrogate pair in a text.";
    case "object": {
      if (value === null) return undefined;
      if (level > deepestArguments) return `The arguments are nested deeper than ${deepestArguments} levels.`;
      for (const [key, each] of Object.entries(value)) {
        if (key === "__proto__") return "The arguments have a key __proto__, which is not allowed.";
        const problem = problemOfValue(key, level) ?? problemOfValue(each, level + 1);
        if (problem !== undefined) return problem;
      }
      return undefined;
    }
    case "boolean":
      return undefined;
    default:
      return "The arguments have a value that JSON has not.";
  }
}
