/** What was mended or left out of a schema, for people. Keeps L7: the first 20 are told, and how many more there are. */
const maxNotes = 20;

export class MendNotes {
  readonly #notes: string[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(path: string, note: string): void {
    this.#count++;
    if (this.#notes.length < maxNotes) this.#notes.push(`${path}: ${note}`);
  }

  list(): readonly string[] {
    const more = this.#count - this.#notes.length;
    return more === 0 ? this.#notes : [...this.#notes, `and ${more} more`];
  }
}
