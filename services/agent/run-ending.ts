/** Why a run is told to stop: a person asked, or somebody else has it. */

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
