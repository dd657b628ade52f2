/**
 * The commands to a run: numbered, durable, and open until the holder acted on them.
 *
 * Keeps R5 (a cancel stays open until the run has ended) and that no accepted message is left unanswered: what was
 * never read of a run that ended is handed to a run of its own. Pure.
 */

/** The part of a command that the rules look at. */
export interface OpenCommand {
  readonly commandId: number;
  readonly kind: "cancel" | "steer";
  /** Of a steer; empty for a cancel. */
  readonly messageId: string;
  /** Of a steer's message; 0 for a cancel. */
  readonly priority: number;
}

/** What is still open once a worker has acted on all commands up to `actedCommandId`. */
export function openAfter<Command extends OpenCommand>(
  commands: readonly Command[],
  actedCommandId: number,
): readonly Command[] {
  return commands.filter(({ commandId }) => commandId > actedCommandId);
}

/** The messages of a run that ends now which no model call has read, in order; undefined when it read all. */
export function leftOver<Command extends OpenCommand>(
  open: readonly Command[],
): { readonly first: Command; readonly messageIds: readonly string[]; readonly priority: number } | undefined {
  const steers = open.filter(({ kind }) => kind === "steer");
  const [first] = steers;
  if (first === undefined) return undefined;
  return {
    first,
    messageIds: steers.map(({ messageId }) => messageId),
    priority: Math.max(...steers.map(({ priority }) => priority)),
  };
}
