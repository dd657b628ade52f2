// Keeps: a file of variables is data: nothing in it is run or expanded. L7: at most 1 MiB is read.
import { readFileSync, statSync } from "node:fs";
import { parseEnv } from "node:util";
import { decodeText } from "../reading/decode-text.ts";

const maxBytes = 1024 * 1024;

export type EnvFile = { readonly env: Readonly<Record<string, string>> } | { readonly problem: string };

/** Reads lines `NAME=value`. The problem is for people and shows nothing of the file. */
export function readEnvFile(file: string): EnvFile {
  try {
    const { size } = statSync(file);
    if (size > maxBytes) return { problem: `has more than ${maxBytes} bytes` };
    const decoded = decodeText(readFileSync(file));
    if ("problem" in decoded) return { problem: `holds ${decoded.problem}` };
    return { env: parseEnv(decoded.text) as Record<string, string> };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { problem: code === "ENOENT" ? "is not there" : `can't be read (${code})` };
  }
}
