/**
 * The part of a session that the store keeps as one encoded message: reset policy, preferences, variables and task.
 *
 * Keeps L7: preferences and variables are bounded, 64 KiB each as they are encoded.
 */
import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { type Session, SessionSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";

/** What is not set is not there. */
export type SessionProfile = Partial<Pick<Session, "resetPolicy" | "preferences" | "variables" | "task">>;

const maxStructBytes = 65_536;

/** Empty when nothing is set. */
export function encodeProfile({ resetPolicy, preferences, variables, task }: SessionProfile): Uint8Array {
  const set = {
    ...(resetPolicy === undefined ? {} : { resetPolicy }),
    ...(preferences === undefined ? {} : { preferences }),
    ...(variables === undefined ? {} : { variables }),
    ...(task === undefined ? {} : { task }),
  };
  return toBinary(SessionSchema, create(SessionSchema, set));
}

export function readProfile(profile: Uint8Array): SessionProfile {
  if (profile.length === 0) return {};
  const { resetPolicy, preferences, variables, task } = fromBinary(SessionSchema, profile);
  return {
    ...(resetPolicy === undefined ? {} : { resetPolicy }),
    ...(preferences === undefined ? {} : { preferences }),
    ...(variables === undefined ? {} : { variables }),
    ...(task === undefined ? {} : { task }),
  };
}

/** Errors: FIELD_INVALID when what a session keeps is larger than it may be. */
export function checkStructSize(value: JsonObject | undefined, path: string): void {
  if (value === undefined) return;
  const bytes = encodeProfile({ variables: value }).length;
  if (bytes <= maxStructBytes) return;
  const problem = `has ${bytes} bytes, and ${maxStructBytes} are the most`;
  throw failure(ErrorReason.FIELD_INVALID, `${path} ${problem}`, { fields: [{ path, problem }] });
}
