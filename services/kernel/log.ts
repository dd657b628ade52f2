/**
 * The log, and the only door to pino and pino-pretty.
 *
 * Keeps L7 and L9: a field is at most 1 KiB, a cut is marked; secrets are redacted by name; control characters are
 * escaped, so that nobody outside can forge a line. The default destination is stderr: stdout belongs to the CLI.
 */
import { createRequire } from "node:module";
import { pino } from "pino";
import type PinoPretty from "pino-pretty";
import { boundFields, boundMessage } from "./log-fields.ts";
import { visibleText } from "./visible-text.ts";

/** Facts of a line. Errors belong under `error`; their name, message, code, cause and first frames are written. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A log that adds these fields to every line, for example `{ traceId }`. */
  child(fields: LogFields): Log;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

export type LogFormat = "json" | "pretty";

/** Takes whole lines, each with its newline; called synchronously. */
export interface LogDestination {
  write(line: string): void;
}

export interface LogOptions {
  /** The least serious level that is written. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Default: stderr, written synchronously. */
  readonly destination?: LogDestination;
}

/** Makes a log. pino-pretty is loaded only for the pretty format. Its methods never throw. */
export function createLog({ level, format, destination }: LogOptions): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: levelName } };
  return wrap(pino(options, format === "pretty" ? prettyLines(destination) : jsonLines(destination)));
}

function wrap(logger: pino.Logger): Log {
  const write =
    (level: "debug" | "info" | "warn" | "error") =>
    (fields: LogFields, message: string): void => {
      if (logger.isLevelEnabled(level)) logger[level](boundFields(fields), boundMessage(message));
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => wrap(logger.child(boundFields(fields))),
  };
}

function levelName(label: string): { level: string } {
  return { level: label };
}

function stderrLines(): LogDestination {
  return pino.destination({ dest: 2, sync: true });
}

/** JSON escapes C0 by itself; the other control characters are escaped here, which leaves the line the same JSON. */
function jsonLines(destination: LogDestination = stderrLines()): LogDestination {
  return { write: (line) => destination.write(`${visibleText(line.slice(0, -1))}\n`) };
}

function prettyLines(destination: LogDestination | undefined): LogDestination {
  const makePretty = createRequire(import.meta.url)("pino-pretty") as typeof PinoPretty;
  const prettify = makePretty.prettyFactory({
    colorize: destination === undefined && process.stderr.isTTY && makePretty.isColorSupported,
    errorLikeObjectKeys: [],
    singleLine: true,
    translateTime: "SYS:HH:MM:ss.l",
  });
  const lines = destination ?? stderrLines();
  // Decoded again, a value could hold control characters: they are made visible before the colours are added.
  return { write: (line) => lines.write(prettify(JSON.parse(line, (_key, value) => visibleValue(value)))) };
}

function visibleValue(value: unknown): unknown {
  return typeof value === "string" ? visibleText(value) : value;
}
