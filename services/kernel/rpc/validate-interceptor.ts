/**
 * Checks every request against the rules that its fields carry (L6). The only door to protovalidate.
 *
 * Cost: about 24 µs a message with five rules. Messages of a stream that carry events between services have no rules
 * on them and cost next to nothing.
 */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { Interceptor, StreamRequest } from "@connectrpc/connect";
import { ErrorReason, type FieldProblem, failure } from "../errors.ts";

const validator = createValidator();

/** The problems of a message, in the order of its fields; empty when there is none. */
function findProblems(schema: DescMessage, message: Message): readonly FieldProblem[] {
  const result = validator.validate(schema, message);
  switch (result.kind) {
    case "valid":
      return [];
    case "invalid":
      return result.violations.map((violation) => ({
        path: pathToString(violation.field),
        problem: violation.message || `breaks the rule ${violation.ruleId}`,
      }));
    case "error":
      // A rule that can't be compiled or run is a fault of ours.
      throw result.error;
  }
}

export const validateInterceptor: Interceptor = (next) => async (request) => {
  const { input } = request.method;
  if (!request.stream) {
    check(input, request.message);
    return next(request);
  }
  return next({ ...request, message: checkAll(input, request.message) });
};

async function* checkAll(schema: DescMessage, messages: StreamRequest["message"]): StreamRequest["message"] {
  for await (const message of messages) {
    check(schema, message);
    yield message;
  }
}

function check(schema: DescMessage, message: Message): void {
  const fields = findProblems(schema, message);
  const first = fields[0];
  if (first !== undefined) {
    throw failure(ErrorReason.FIELD_INVALID, `${first.path}: ${first.problem}`, { fields });
  }
}
