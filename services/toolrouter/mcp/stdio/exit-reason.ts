/**
 * Finds, in what a program wrote before it ended, the lines that say why: its last line is often the version of its
 * runtime, the end of a stack trace, or the name of a log file.
 *
 * Keeps L7: the last 100 lines are looked at, of those the ones of the last 5 s; at most 5 lines and 1 KiB are shown.
 */
import { stripVTControlCharacters } from "node:util";
import type { Clock } from "../../../kernel/clock.ts";
import { escapeHidden } from "../../escape-hidden.ts";

const maxLines = 100;
const recentMs = 5_000;
const maxShownLines = 5;
const maxShownLength = 1024;

/** The last lines that a program wrote. */
export class RecentLines {
  readonly #clock: Clock;
  readonly #lines: { readonly line: Buffer | string; readonly atMs: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `line` is at most 1 KiB. */
  add(line: Buffer | string): void {
    this.#lines.push({ line, atMs: this.#clock.monotonicMs() });
    if (this.#lines.length > maxLines) this.#lines.shift();
  }

  /** Why it ended, as far as it said so; empty when it said nothing. */
  reason(): string {
    const lastMs = this.#lines.at(-1)?.atMs ?? 0;
    return findReason(this.#lines.filter(({ atMs }) => lastMs - atMs <= recentMs).map(({ line }) => line.toString()));
  }
}

/** The lines that say why, the likeliest first, joined with " | "; empty when no line says anything. */
export function findReason(lines: readonly string[]): string {
  const seen = new Map<string, { readonly weight: number; readonly place: number }>();
  const clean = lines.map((line) => escapeHidden(stripVTControlCharacters(line)).trimEnd());
  const speaking = joinMessages(clean).filter((line) => weigh(line) > 0);
  speaking.forEach((line, place) => {
    const isLast = place === speaking.length - 1;
    const weight = isLast ? Math.max(lastWeight, weigh(line)) : weigh(line);
    // A program that tries again and again says the same; the last time counts.
    if (weight > 1) seen.set(line.trim(), { weight, place });
  });
  const found = [...seen].map(([line, { weight, place }]) => ({ line, weight, place }));
  const best = found.sort((a, b) => b.weight - a.weight || b.place - a.place).slice(0, maxShownLines);
  const shown = best.sort((a, b) => b.weight - a.weight || a.place - b.place).map(({ line }) => line);
  const text = shown.join(" | ");
  return text.length <= maxShownLength ? text : `${text.slice(0, maxShownLength - 1).toWellFormed()}…`;
}

/** Rust and Go write the message of a panic into the line behind the place. */
function joinMessages(lines: readonly string[]): string[] {
  return lines.flatMap((line, index) => {
    if (index > 0 && /\bpanicked at .*:$/.test(lines[index - 1] ?? "")) return [];
    return [/\bpanicked at .*:$/.test(line) ? `${line} ${lines[index + 1] ?? ""}` : line];
  });
}

/** 0: says nothing; 1: says something else; the higher, the likelier it is the reason. */
function weigh(line: string): number {
  if (noise.some((pattern) => pattern.test(line))) return 0;
  if (typedError.some((pattern) => pattern.test(line))) return 4;
  if (errorWord.test(line)) return 3;
  if (complaint.test(line)) return 2;
  return 1;
}

/** What a program says last is seldom beside the point. */
const lastWeight = 3;

/** Stack frames, carets, source lines of a traceback, braces, and what runtimes and package managers say at their end. */
const noise = [
  /^\s*[\^~{}()[\],;|+\-=*#.\s]*$/,
  /^\s+at\b/,
  /^\s*File ".*", line \d+/,
  /^\s*\d+: /,
  /^\s*\.\.\. \d+ (more|common frames)/,
  /^Node\.js v\d/,
  /^Traceback \(most recent call last\)/,
  /^(During handling of|The above exception)\b/,
  /^npm (ERR!|error) *$/,
  /^npm (ERR!|error) .*(complete log|debug-\d+\.log|_logs)/i,
  /^note: run with `RUST_BACKTRACE/,
  /^stack backtrace:/i,
  /^goroutine \d+ \[/,
  /^exit status \d+$/,
  /^\s+(code|errno|syscall|path|requireStack|port|address|spawnargs|cause)\b: /,
  /^\s*(throw |raise |return |const |import |from \S+ import |node:internal\/|\S+\.[cm]?[jt]s:\d+$)/,
];

const typedError = [
  /^\s*(Uncaught |Unhandled |\[)?([\w$]+[.:]{1,2})*[\w$]*(Error|Exception|Interrupt)\b(\s*\[\w+\])?\s*(:|$)/,
  /^Exception in thread\b/,
  /^Caused by: /,
  /\bpanicked at\b/,
  /^panic: /,
  /^(fatal|fatal error|error|err)\b *[:\]-]/i,
  /^npm (ERR!|error) /,
];

const errorWord =
  /\berr(or)?\b|exception|\bfatal\b|\bcritical\b|cannot|can't|could ?n[o']t|unable to|not found|no such|denied|refused|failed|failure|already in use|\bE[A-Z]{4,}\b/i;

const complaint =
  /^\s*usage\b|missing|required|invalid|not set|must be|expected|not recogni[sz]ed|unknown (option|argument|command|flag)|unrecogni[sz]ed|unsupported/i;
