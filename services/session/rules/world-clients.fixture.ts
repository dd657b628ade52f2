/** The clients of a random schedule: what they ask, ask again, and keep for later. */
import { type Ask, modes } from "./world-facts.fixture.ts";

const sessions = 2;

export class WorldClients {
  readonly #asks: Ask[] = [];
  readonly #held: Ask[] = [];

  ask(pick: number): Ask {
    const requestId = this.#asks.length;
    const mode = modes[(pick >> 3) % modes.length] ?? "followup";
    const ask: Ask = { requestId, digest: "a", session: pick % sessions, mode, priority: 1 + ((pick >> 1) % 3) };
    this.#asks.push(ask);
    return ask;
  }

  /** Its sender keeps it for later: it arrives behind what was asked after it. */
  hold(pick: number): void {
    this.#held.push(this.ask(pick));
  }

  takeHeld(): readonly Ask[] {
    return this.#held.splice(0);
  }

  /** The same again, now and then with another body. */
  repeat(pick: number): Ask | undefined {
    const ask = this.#asks[(pick >> 1) % Math.max(this.#asks.length, 1)];
    return ask !== undefined && pick % 8 === 0 ? { ...ask, digest: "b" } : ask;
  }
}
