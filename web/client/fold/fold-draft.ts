/**
 * The fold's work in progress. Copies each part of the conversation at most once for a batch of events and changes the
 * copy in place, so that a long log folds in linear time while every finished Conversation stays immutable.
 */
import type { Conversation, RunItem, RunTurn, Turn } from "./conversation.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export interface RunDraft extends Mutable<Omit<RunTurn, "items">> {
  items: RunItem[];
}

export interface Draft extends Mutable<Omit<Conversation, "turns">> {
  turns: Turn[];
  /** The objects that this draft made itself and may change in place. */
  readonly owned: Set<object>;
}

export function openDraft(conversation: Conversation): Draft {
  return { ...conversation, turns: [...conversation.turns], owned: new Set() };
}

/** Ends the draft; nothing may be changed through it afterwards. */
export function closeDraft({ owned, ...conversation }: Draft): Conversation {
  owned.clear();
  return conversation;
}

/** Where the run stands in the turns; −1 when it is not there. Newest first: nearly every event is about the last run. */
export function findRun(draft: Draft, runId: string): number {
  return draft.turns.findLastIndex((turn) => turn.kind === "run" && turn.runId === runId);
}

/** The run, to be changed in place. A run whose beginning is hidden or trimmed is made here. */
export function ownRun(draft: Draft, runId: string): RunDraft {
  const index = findRun(draft, runId);
  const known = draft.turns[index];
  if (known !== undefined && draft.owned.has(known)) return known as RunDraft;
  const run: RunDraft =
    known?.kind === "run"
      ? { ...known, items: [...known.items] }
      : {
          kind: "run",
          runId,
          agentId: "",
          model: "",
          step: 0,
          attempt: 0,
          startedAtMs: 0,
          state: { kind: "queued", position: 0 },
          items: [],
        };
  draft.owned.add(run);
  if (known === undefined) draft.turns.push(run);
  else draft.turns[index] = run;
  return run;
}

/** The newest item of a kind that the test accepts, to be changed in place; undefined when there is none. */
export function ownItem<Kind extends RunItem["kind"]>(
  draft: Draft,
  run: RunDraft,
  kind: Kind,
  isWanted: (item: Extract<RunItem, { kind: Kind }>) => boolean,
): Mutable<Extract<RunItem, { kind: Kind }>> | undefined {
  type Item = Extract<RunItem, { kind: Kind }>;
  const index = run.items.findLastIndex((item) => item.kind === kind && isWanted(item as Item));
  const known = run.items[index] as Item | undefined;
  if (known === undefined || draft.owned.has(known)) return known;
  const copy = { ...known };
  draft.owned.add(copy);
  run.items[index] = copy;
  return copy;
}

/** Adds an item that was made just now, to be changed in place. */
export function addItem<Item extends RunItem>(draft: Draft, run: RunDraft, item: Item): Mutable<Item> {
  draft.owned.add(item);
  run.items.push(item);
  return item;
}
