/** The wall clock of a time zone. */

/**
 * By how many milliseconds the zone's wall clock is ahead of UTC at a time, daylight saving included.
 *
 * @param timeZone An IANA name that this process knows; with another one the function throws a RangeError. Undefined: the machine's.
 */
export function zoneOffset(timeZone: string | undefined): (atMs: number) => number {
  return (atMs) => {
    const known = offsets.get(timeZone) ?? createOffset(timeZone);
    offsets.set(timeZone, known);
    return known(atMs);
  };
}

/** A formatter is dear to make, the first one takes a tenth of a start; a process has one zone. */
const offsets = new Map<string | undefined, (atMs: number) => number>();

function createOffset(timeZone: string | undefined): (atMs: number) => number {
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
