/** Why a run is told to stop: a person asked, somebody else has it, or what it wrote can't be stored. */
import type { ErrorReason } from "../../kernel/errors.ts";

export class RunCancelled extends Error {
  override readonly name = "RunCancelled";
  readonly cancelledBy: string;

  constructor(cancelledBy: string) {
    super(`cancelled by ${cancelledBy}`);
    this.cancelledBy = cancelledBy;
  }
}

/** What the run does goes on elsewhere: its tool calls are left alone, and whoever has it next asks for them again. */
export class RunLost extends Error {
  override readonly name = "RunLost";
}

/** The session service does not take what the run wrote, however often it is sent: the run ends, and its neighbours go on. */
export class RunRefused extends Error {
  override readonly name = "RunRefused";
  readonly reason: ErrorReason;

  /** @param message For people: what was refused. */
  constructor(reason: ErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
