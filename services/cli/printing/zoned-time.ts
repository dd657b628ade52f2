/** Times for people, in the zone of who reads them. */

/** `2026-11-28T23:05:09+01:00`; `milliseconds` adds three digits. */
export function zonedTime(timeMs: number, digits: "seconds" | "milliseconds" = "seconds"): string {
  const offsetMinutes = -new Date(timeMs).getTimezoneOffset();
  const local = new Date(timeMs + offsetMinutes * 60_000).toISOString().slice(0, digits === "seconds" ? 19 : 23);
  const ahead = Math.abs(offsetMinutes);
  return `${local}${offsetMinutes < 0 ? "-" : "+"}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}
