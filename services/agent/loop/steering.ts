/**
 * What steers a run while it is worked on, from the moment at which the worker hears of it to the model call that reads it.
 *
 * Keeps L7: the session service bounds what is open at a time (64). A message is read once, though its command may be
 * heard many times and the log may have told of it before.
 */

import type { SteerMessage } from "../memory/conversation.ts";
import type { WorkingConversation } from "../memory/working-conversation.ts";
import type { EventWriter } from "./event-writer.ts";

export class Steering {
  readonly #arrived: { readonly commandId: number; readonly message: SteerMessage }[] = [];
  #heardCommandId = 0;
  #broughtCommandId = 0;

  /** Commands are heard in the order of their numbers, and again until they are closed. */
  hear(commandId: number, message: SteerMessage): void {
    if (commandId <= this.#heardCommandId) return;
    this.#heardCommandId = commandId;
    this.#arrived.push({ commandId, message });
  }

  /** Brings what has arrived into the conversation. Gives whether the next model call has something to read. */
  bringInto(conversation: WorkingConversation, writer: Pick<EventWriter, "actOn">): boolean {
    for (const { commandId, message } of this.#arrived.splice(0)) {
      this.#broughtCommandId = commandId;
      // Whoever had the run before has heard of it, and what it did with it stands in the log.
      if (conversation.steer(message) === "read" && conversation.run.unread.length === 0) writer.actOn(commandId);
    }
    return conversation.run.unread.length > 0;
  }

  /** A model call reads all that was brought. */
  readAll(writer: Pick<EventWriter, "actOn">): void {
    writer.actOn(this.#broughtCommandId);
  }
}
