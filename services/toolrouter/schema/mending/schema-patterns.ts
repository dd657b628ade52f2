/** The patterns of one schema. Keeps L7: their number is bounded, and the sum of their sizes. */
import { type JudgedPattern, judgePattern } from "../linear-pattern.ts";

const maxPatterns = 100;
const maxPatternSizes = 10_000;
/** So much of a pattern takes as long to compile as a subschema. */
const patternSizeOfPart = 50;

export class SchemaPatterns {
  readonly #judged = new Map<string, JudgedPattern>();
  #sizes = 0;

  /** How many subschemas would take as long to compile. */
  get parts(): number {
    return Math.ceil(this.#sizes / patternSizeOfPart);
  }

  judge(pattern: string): JudgedPattern {
    const known = this.#judged.get(pattern);
    if (known !== undefined) return known;
    const isFull = this.#judged.size >= maxPatterns || this.#sizes >= maxPatternSizes;
    if (isFull) return { kind: "unusable", problem: "is one pattern too many" };
    const judged = judgePattern(pattern);
    this.#judged.set(pattern, judged);
    if (judged.kind === "usable") this.#sizes += judged.size;
    return judged;
  }
}
