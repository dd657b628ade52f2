/**
 * Whether a call's arguments can be stored in a log and read by everybody: what can't is refused to the model as that
 * call's error, once, and never reaches a log, a tool or the next request.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/**
 * Levels of objects and lists, the arguments themselves being the first. Each takes three messages of Protobuf, of which
 * decoders read 100 inside each other, and what an event stands in needs the rest.
 */
const deepestArguments = 30;
/** Bytes of the arguments as Protobuf: 1 MiB and what stands around a text of that size. A list of numbers has 11 each. */
const mostArgumentBytes = 1_114_112;
/** What a value takes beside its text, as Protobuf: its tags and lengths, and eight bytes for a number. */
const bytesOfValue = 11;
const bytesOfKey = 8;

/** What is wrong, for the model; undefined when nothing is. Looks at no more than fits. */
export function problemOfArguments(args: JsonObject): string | undefined {
  const walk = new ArgumentWalk();
  return walk.problemOf(args, 1);
}

class ArgumentWalk {
  #bytes = 0;

  problemOf(value: JsonValue, level: number): string | undefined {
    this.#bytes += bytesOfValue;
    if (this.#bytes > mostArgumentBytes) return `The arguments take more than ${mostArgumentBytes} bytes.`;
    switch (typeof value) {
      case "number":
        return Number.isFinite(value) ? undefined : "The arguments have a number that is too large to be one.";
      case "string":
        return this.#problemOfText(value);
      case "object":
        if (value === null) return undefined;
        if (level > deepestArguments) return `The arguments are nested deeper than ${deepestArguments} levels.`;
        return Array.isArray(value) ? this.#problemOfList(value, level) : this.#problemOfObject(value, level);
      case "boolean":
        return undefined;
      default:
        return "The arguments have a value that JSON has not.";
    }
  }

  #problemOfList(list: readonly JsonValue[], level: number): string | undefined {
    for (const each of list) {
      const problem = this.problemOf(each, level + 1);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #problemOfObject(object: JsonObject, level: number): string | undefined {
    for (const [key, each] of Object.entries(object)) {
      if (key === "__proto__") return "The arguments have a key __proto__, which is not allowed.";
      this.#bytes += bytesOfKey;
      const problem = this.#problemOfText(key) ?? this.problemOf(each, level + 1);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #problemOfText(text: string): string | undefined {
    this.#bytes += Buffer.byteLength(text);
    if (this.#bytes > mostArgumentBytes) return `The arguments take more than ${mostArgumentBytes} bytes.`;
    return text.isWellFormed() ? undefined : "The arguments have half a surrogate pair in a text.";
  }
}
