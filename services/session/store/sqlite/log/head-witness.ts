/**
 * How far the store had come, written down in a second place: a file beside it, whose name changes with each writing. By it
 * the next start notices a store that went back: a copy that was put back, a write-ahead log that was cut short.
 *
 * Keeps: what stands here was committed and synced before, so that a crash alone never looks like going back. A copy that is
 * laid over the folder leaves the newer name there; one that takes the place of the folder has another file identity.
 * What the file says is at most a second behind the store: changes of that second can be lost without being noticed, and so
 * can all of them where a whole disk went back (a snapshot of a machine).
 */
import { readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The place of each tenant's index feed, by the tenant's name. */
export type Heads = Readonly<Record<string, number>>;

interface Written {
  readonly heads: Heads;
  /** Which file the store was: device-independent, new for every copy. */
  readonly identity: string;
}

const storeFile = "session.db";
const fileName = /^session\.(\d{1,16})\.head$/;

export class HeadWitness {
  readonly #dataDir: string;
  readonly #found: readonly string[];
  readonly #written: readonly Written[];
  #number: number;
  #current: string | undefined;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#found = readdirSync(dataDir).filter((name) => fileName.test(name));
    this.#written = this.#found.flatMap((name) => this.#read(name) ?? []);
    this.#number = Math.max(0, ...this.#found.map((name) => Number(fileName.exec(name)?.[1])));
  }

  /** The tenants whose store is behind what it was, or of another file. Unknown ones among them are gone. */
  tenantsBehind(heads: Heads): readonly string[] {
    const isCopy = this.#written.length > 0 && !this.#written.some(({ identity }) => identity === this.#identity());
    const tenants = new Set([...Object.keys(heads), ...this.#written.flatMap((each) => Object.keys(each.heads))]);
    return [...tenants].filter(
      (tenant) => isCopy || this.#written.some((each) => (each.heads[tenant] ?? 0) > (heads[tenant] ?? 0)),
    );
  }

  /** Throws what the file system does. */
  write(heads: Heads): void {
    this.#number += 1;
    const name = `session.${this.#number}.head`;
    const temporary = join(this.#dataDir, `.${name}.new`);
    writeFileSync(temporary, JSON.stringify({ heads, identity: this.#identity() } satisfies Written), { mode: 0o600 });
    renameSync(temporary, join(this.#dataDir, name));
    for (const old of this.#current === undefined ? this.#found : [this.#current]) this.#remove(old);
    this.#current = name;
  }

  #remove(name: string): void {
    try {
      unlinkSync(join(this.#dataDir, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }

  /** Undefined for a file that was not whole when the machine went down: it says nothing. */
  #read(name: string): Written | undefined {
    try {
      const { heads, identity } = JSON.parse(readFileSync(join(this.#dataDir, name), "utf8")) as Partial<Written>;
      return typeof heads === "object" && typeof identity === "string" ? { heads, identity } : undefined;
    } catch {
      return undefined;
    }
  }

  #identity(): string {
    const { ino, birthtimeMs } = statSync(join(this.#dataDir, storeFile));
    return `${ino}.${birthtimeMs}`;
  }
}
