/**
 * What a person has written and not sent, for each conversation: it is there after another conversation was looked at, and
 * after a reload. Keeps L7: the newest 100 drafts, 100 000 characters each. A browser that stores nothing (a private window,
 * a full store) keeps them for as long as the page lives.
 */
const key = "atoll.drafts";
const maxDrafts = 100;
const maxDraftLength = 100_000;

/** Newest last. */
let drafts: ReadonlyMap<string, string> | undefined;

/** @param conversation The session id; empty for a new conversation. */
export function readDraft(conversation: string): string {
  drafts ??= load();
  return drafts.get(conversation) ?? "";
}

/** An empty text removes it. */
export function keepDraft(conversation: string, text: string): void {
  // Other tabs write here, too.
  const kept = [...load()].filter(([other]) => other !== conversation);
  if (text !== "") kept.push([conversation, text.slice(0, maxDraftLength)]);
  drafts = new Map(kept.slice(-maxDrafts));
  try {
    localStorage.setItem(key, JSON.stringify([...drafts]));
  } catch {
    // Kept in memory.
  }
}

function load(): ReadonlyMap<string, string> {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    if (!Array.isArray(stored)) return new Map();
    return new Map(stored.filter(isEntry));
  } catch {
    return drafts ?? new Map();
  }
}

function isEntry(entry: unknown): entry is readonly [string, string] {
  return Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === "string");
}
