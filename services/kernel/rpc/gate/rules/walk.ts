/** Where a check stands in a message, and what was found so far: paths are written only for what is wrong. */
import { type FieldProblem, maxFieldProblems } from "../../../errors.ts";

/** A field or a oneof by its name, an item of a list by its index, a value of a map by its key. */
export type Step = string | number | { readonly key: string };

/** Looks at one value. */
export type ValueCheck<Value> = (value: Value, tell: (problem: string) => void) => void;

/** Looks at what stands in a field, or at a whole message. */
export type Check = (value: unknown, walk: Walk) => void;

export function ofValue(check: ValueCheck<unknown> | undefined): Check | undefined {
  return check && ((value, walk) => check(value, walk.tell));
}

export class Walk {
  readonly problems: FieldProblem[] = [];
  readonly #steps: Step[] = [];

  enter(step: Step): void {
    this.#steps.push(step);
  }

  leave(): void {
    this.#steps.pop();
  }

  /** Notes what is wrong here; of more than the most that an error tells, nothing. */
  readonly tell = (problem: string): void => {
    if (this.problems.length < maxFieldProblems)
      this.problems.push({ path: this.#steps.reduce(withStep, ""), problem });
  };
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n" };

/** As `pathToString` of @bufbuild/protobuf writes it. */
function withStep(path: string, step: Step): string {
  if (typeof step === "string") return path === "" ? step : `${path}.${step}`;
  if (typeof step === "number") return `${path}[${step}]`;
  return `${path}["${step.key.replace(/[\\"\r\n]/g, (one) => escapes[one] ?? one)}"]`;
}
