/**
 * Names of servers as the mesh can use them: the part before the dot of every tool's name.
 *
 * Keeps: a legal name stays as it is; every other one gets a legal, unique name that depends on the written names alone, not
 * on their order, so that a tool keeps its name when a server is added or moved.
 */
import { createHash } from "node:crypto";

const legal = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;
/** Names that would change what an object is instead of what it holds. */
const dangerous = new Set(["__proto__", "constructor", "prototype"]);
const maxLetters = 64;
const hashLetters = 6;

/** The mesh's name for each of the written names, which are unique. */
export function meshNames(written: readonly string[]): ReadonlyMap<string, string> {
  const claims = new Map<string, number>();
  const wanted = written.map((name) => (isLegal(name) ? name : plain(name)));
  for (const name of wanted) claims.set(name, (claims.get(name) ?? 0) + 1);
  return new Map(
    written.map((name, index) => {
      const short = wanted[index] as string;
      if (isLegal(name)) return [name, name];
      return [name, claims.get(short) === 1 && isLegal(short) ? short : marked(name, short)];
    }),
  );
}

function isLegal(name: string): boolean {
  return legal.test(name) && !dangerous.has(name);
}

/** Letters without their marks, everything else as one `-`. */
function plain(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^a-zA-Z0-9_]+/g, "-")
    .replace(/^[-_]+|-+$/g, "");
}

/** With a piece of the hash of what was written. */
function marked(name: string, short: string): string {
  const hash = createHash("sha256").update(name).digest("hex").slice(0, hashLetters);
  const kept = (short === "" ? "server" : short).slice(0, maxLetters - hashLetters - 1).replace(/-+$/, "");
  return `${kept}-${hash}`;
}
