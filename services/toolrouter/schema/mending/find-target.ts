/**
 * Finds what a `$ref` of a schema points to, inside the same document: by pointer, by anchor, by the document's own
 * address. Nothing is ever fetched.
 */
import { isObject, member } from "../json-parts.ts";

/** How many values are searched for anchors and addresses. */
const maxSearched = 20_000;

export type Target =
  /** `name` is the last part of the reference, for people. */
  | { readonly kind: "found"; readonly target: unknown; readonly name: string }
  | { readonly kind: "missing"; readonly problem: string };

export class RefTargets {
  readonly #root: unknown;
  #byAddress: Map<string, unknown> | undefined;

  constructor(root: unknown) {
    this.#root = root;
  }

  find(ref: string): Target {
    const hash = ref.indexOf("#");
    const address = hash === -1 ? ref : ref.slice(0, hash);
    const fragment = hash === -1 ? "" : ref.slice(hash + 1);
    const base = address === "" ? this.#root : this.#addresses.get(address);
    if (base !== undefined) {
      const target =
        fragment === "" || fragment.startsWith("/") ? follow(base, fragment) : this.#addresses.get(`#${fragment}`);
      if (isSchema(target)) return { kind: "found", target, name: lastPart(ref) };
    }
    // Names that moved between drafts or stand without a path: `definitions` for `$defs`, or the name alone.
    const name = lastPart(ref);
    for (const place of ["$defs", "definitions", "schemas"]) {
      const target = member(member(this.#root, place), name);
      if (isSchema(target) && !/^[a-z][a-z0-9+.-]*:/i.test(address)) return { kind: "found", target, name };
    }
    const isElsewhere = address !== "" && base === undefined;
    return { kind: "missing", problem: isElsewhere ? "is in another document" : "points to nothing" };
  }

  get #addresses(): Map<string, unknown> {
    this.#byAddress ??= collectAddresses(this.#root);
    return this.#byAddress;
  }
}

function isSchema(value: unknown): boolean {
  return isObject(value) || typeof value === "boolean";
}

/** A JSON Pointer (RFC 6901) in a fragment, whose characters may be percent-encoded. */
function follow(base: unknown, fragment: string): unknown {
  return fragment.split("/").slice(1).map(readPart).reduce(member, base);
}

function readPart(part: string): string {
  let text = part;
  try {
    text = decodeURIComponent(part);
  } catch {
    // A percent sign that encodes nothing stands for itself.
  }
  return text.replaceAll("~1", "/").replaceAll("~0", "~");
}

function lastPart(ref: string): string {
  return readPart(/[^/#]*$/.exec(ref.replace(/#$/, ""))?.[0] ?? "");
}

function collectAddresses(root: unknown): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const add = (address: unknown, node: unknown): void => {
    if (typeof address !== "string") return;
    const plain = address.replace(/#$/, "");
    if (plain !== "" && !found.has(plain)) found.set(plain, node);
  };
  const waiting: unknown[] = [root];
  for (let searched = 0; waiting.length > 0 && searched < maxSearched; searched++) {
    const node = waiting.pop();
    if (isObject(node)) {
      add(node.$id, node);
      add(node.id, node);
      for (const anchor of [node.$anchor, node.$dynamicAnchor]) if (typeof anchor === "string") add(`#${anchor}`, node);
    }
    if (typeof node !== "object" || node === null) continue;
    for (const child of Object.values(node)) if (waiting.length < maxSearched) waiting.push(child);
  }
  return found;
}
