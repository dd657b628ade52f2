/**
 * Finds and reads the configuration file.
 *
 * Keeps: a file that was asked for must exist; two candidates in one folder are a problem, not a guess. L7: at most 4 MiB
 * are read, also from a pipe.
 */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import path from "node:path";
import type { ConfigSource, ReportProblem } from "./config-error.ts";
import { type ConfigFlags, configFileVariable, type Environment } from "./settings.ts";

const usualNames = ["atoll.yaml", "atoll.yml", "atoll.json"];
const maxFileBytes = 4 * 1024 * 1024;
const ways = `Name a file with --config or ${configFileVariable}; default ${usualNames.join(", ")} in the current folder.`;

export interface ConfigFile {
  /** Absolute. */
  readonly file: string;
  readonly text: string;
}

/** The file, or undefined when there is none or a problem was reported. */
export function findConfigFile(
  flags: ConfigFlags,
  env: Environment,
  cwd: string,
  report: ReportProblem,
): ConfigFile | undefined {
  const variable = env[configFileVariable];
  if (flags.config !== undefined)
    return read(path.resolve(cwd, flags.config), { from: "flag", name: "config" }, report);
  if (variable !== undefined && variable !== "") {
    return read(path.resolve(cwd, variable), { from: "environment", name: configFileVariable }, report);
  }
  const [first, second] = usualNames.map((name) => path.join(cwd, name)).filter((file) => existsSync(file));
  if (first === undefined) return undefined;
  const source: ConfigSource = { from: "file", file: first };
  if (second !== undefined) {
    report({ path: "", found: `${second} beside it`, expected: "one configuration file", hint: ways, source });
    return undefined;
  }
  return read(first, source, report);
}

function read(file: string, source: ConfigSource, report: ReportProblem): ConfigFile | undefined {
  const fail = (found: string, expected: string): undefined => {
    report({ path: "", found, expected, hint: ways, source });
    return undefined;
  };
  let bytes: Buffer;
  try {
    bytes = readBounded(file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return fail(
      code === "ENOENT" ? `no file ${file}` : `${file}, which can't be read (${code})`,
      "a file that can be read",
    );
  }
  if (bytes.length > maxFileBytes) return fail(`more than ${maxFileBytes} bytes in ${file}`, `at most ${maxFileBytes}`);
  try {
    return { file, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return fail(`bytes in ${file} that are not UTF-8`, "UTF-8 text");
  }
}

/** Up to one byte more than is allowed, so that the caller sees that there was more. */
function readBounded(file: string): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const chunks: Buffer[] = [];
    for (let total = 0; total <= maxFileBytes; ) {
      const chunk = Buffer.allocUnsafe(65_536);
      const count = readSync(descriptor, chunk);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
      total += count;
    }
    return Buffer.concat(chunks);
  } finally {
    closeSync(descriptor);
  }
}
