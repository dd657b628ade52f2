/**
 * Checks every request against the rules that its fields carry (L6), after the number of its entries (count-entries.ts). Messages of a
 * stream that carry events between services have no rules on them and cost next to nothing. Patterns are such that no text makes
 * them slow (validate-interceptor.test.ts looks at each).
 */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Interceptor, StreamRequest } from "@connectrpc/connect";
import { ErrorReason, type FieldProblem, failure } from "../../errors.ts";
import { findTooMany } from "./count-entries.ts";
import { askProtovalidate } from "./rules/ask-protovalidate.ts";
import { findBrokenRules } from "./rules/message-rules.ts";
import { RuleNotKnown } from "./rules/value-rules.ts";

/** Empty when the message keeps its rules. */
function findProblems(
  schema: DescMessage,
  message: Message,
): readonly FieldProblem[] | Promise<readonly FieldProblem[]> {
  const tooMany = findTooMany(schema, message);
  if (tooMany !== undefined) return [tooMany];
  try {
    return findBrokenRules(schema, message);
  } catch (error) {
    if (!(error instanceof RuleNotKnown)) throw error;
    return askProtovalidate(schema, message);
  }
}

export const validateInterceptor: Interceptor = (next) => async (request) => {
  const { input } = request.method;
  if (!request.stream) {
    const problems = findProblems(input, request.message);
    refuse(problems instanceof Promise ? await problems : problems);
    return next(request);
  }
  return next({ ...request, message: checkAll(input, request.message) });
};

async function* checkAll(schema: DescMessage, messages: StreamRequest["message"]): StreamRequest["message"] {
  for await (const message of messages) {
    const problems = findProblems(schema, message);
    refuse(problems instanceof Promise ? await problems : problems);
    yield message;
  }
}

function refuse(fields: readonly FieldProblem[]): void {
  const [first] = fields;
  if (first !== undefined) throw failure(ErrorReason.FIELD_INVALID, `${first.path}: ${first.problem}`, { fields });
}
