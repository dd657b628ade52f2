/** Keeps: a time zone is one that this process can calculate with, which is asked once, at the start. */
import type { Parsed } from "./addresses.ts";

/** Reads the IANA name of a time zone. */
export function parseTimeZone(text: string): Parsed<string> {
  try {
    return { value: new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions().timeZone };
  } catch {
    return { expected: "the IANA name of a time zone, for example `Europe/Vienna` or `UTC`" };
  }
}
