/** The judge of rules that are not known here (message-rules.ts), loaded with the first message that needs it. */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Validator } from "@bufbuild/protovalidate";
import { type FieldProblem, maxFieldProblems } from "../../../errors.ts";
import { matchPattern } from "./match-pattern.ts";

let loading: Promise<Validator> | undefined;

/** The problems of a message, in the order of its fields; empty when there is none. */
export async function askProtovalidate(schema: DescMessage, message: Message): Promise<readonly FieldProblem[]> {
  loading ??= import("@bufbuild/protovalidate").then(({ createValidator }) =>
    createValidator({ regexMatch: matchPattern }),
  );
  const validator = await loading;
  const result = validator.validate(schema, message);
  switch (result.kind) {
    case "valid":
      return [];
    case "invalid":
      return result.violations.slice(0, maxFieldProblems).map((violation) => ({
        path: pathToString(violation.field),
        problem: violation.message || `breaks the rule ${violation.ruleId}`,
      }));
    case "error":
      // A rule that can't be compiled or run is a fault of ours.
      throw result.error;
  }
}
