/**
 * A TCP proxy that can break what runs through it, on command: the faults of a network between two services.
 *
 * Keeps L7: bytes that wait are bounded by the sockets' own buffers (pipes), connections by the services' limits.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** Answers are swallowed. Nothing lifts it: what came after a hole would be taken for what follows. */
  isMuted: boolean;
}

export class FaultProxy {
  readonly name: string;
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Darknesses that have begun and not ended: they may overlap. */
  #darknesses = 0;
  port = 0;

  constructor(name: string, targetPort: number) {
    this.name = name;
    this.#targetPort = targetPort;
    this.#server = createServer((near) => this.#accept(near));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    const address = this.#server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
    return this;
  }

  /** Resets every connection; returns how many there were. */
  cut(): number {
    const count = this.#pairs.size;
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    return count;
  }

  /** Until as many calls of `light` nothing passes in either direction and nobody is told: a cable that was pulled. */
  dark(): number {
    this.#darknesses += 1;
    for (const { near, far } of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
    return this.#pairs.size;
  }

  light(): void {
    this.#darknesses -= 1;
    // Pipes that are laid twice say everything twice.
    if (this.#darknesses > 0) return;
    for (const pair of this.#pairs) {
      const { near, far } = pair;
      near.pipe(far);
      if (pair.isMuted) far.resume();
      else far.pipe(near);
    }
  }

  /** From now on what the service answers is swallowed, while it goes on hearing: to be followed by `cut`. */
  mute(): number {
    for (const pair of this.#pairs) {
      pair.isMuted = true;
      pair.far.unpipe(pair.near);
      if (this.#darknesses === 0) pair.far.resume();
    }
    return this.#pairs.size;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(near: Socket): void {
    const far = connect(this.#targetPort, "127.0.0.1");
    const pair: Pair = { near, far, isMuted: false };
    this.#pairs.add(pair);
    near.setNoDelay(true);
    far.setNoDelay(true);
    const end = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    if (this.#darknesses > 0) return;
    near.pipe(far);
    far.pipe(near);
  }
}
