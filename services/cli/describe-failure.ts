/** An error of the mesh in words: what happened, its code and reason, and the fields. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { failureFacts, reasonName } from "../kernel/errors.ts";

export function describeFailure(error: ConnectError): string {
  const { reason, fields } = failureFacts(error);
  const name = reason === undefined ? Code[error.code] : `${Code[error.code]}, ${reasonName(reason)}`;
  const lines = fields.map(({ path, problem }) => `  ${path}: ${problem}`);
  return [`${error.rawMessage} (${name})`, ...lines].join("\n");
}
