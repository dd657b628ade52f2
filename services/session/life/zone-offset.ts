/** The wall clock of a time zone. */

/**
 * By how many milliseconds the zone's wall clock is ahead of UTC at a time, daylight saving included.
 *
 * @param timeZone An IANA name that this process knows; another one throws a RangeError here.
 */
export function zoneOffset(timeZone: string): (atMs: number) => number {
  const known = offsets.get(timeZone) ?? createOffset(timeZone);
  offsets.set(timeZone, known);
  return known;
}

/** A formatter is dear to make; a process has one zone. */
const offsets = new Map<string, (atMs: number) => number>();

function createOffset(timeZone: string): (atMs: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "iso8601",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (atMs) => {
    const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const read = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const wallMs = Date.UTC(read("year"), read("month") - 1, read("day"), read("hour"), read("minute"), read("second"));
    return wallMs - Math.floor(atMs / 1_000) * 1_000;
  };
}
