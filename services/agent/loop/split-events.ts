/** Of a frame with more than one event: the next one may be as large as an event can be, and still fits. */
const maxFrameBytes = 1_048_576;

/** The events of one moment in parts that fit a frame, each an event at least: answers of several tools may be more together. */
export function splitEvents(events: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const parts: Uint8Array[][] = [];
  let bytes = 0;
  for (const event of events) {
    const part = parts.at(-1);
    if (part === undefined || bytes + event.length > maxFrameBytes) {
      parts.push([event]);
      bytes = event.length;
    } else {
      part.push(event);
      bytes += event.length;
    }
  }
  return parts;
}
