/** A moment as people say it in a list: "now", "5 min", "14:05", "Tue", "3 Nov". */
export function relativeTime(timeMs: number, nowMs: number = Date.now()): string {
  const minutes = Math.floor((nowMs - timeMs) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  const time = new Date(timeMs);
  const isToday = new Date(nowMs).toDateString() === time.toDateString();
  if (isToday) return time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (minutes < 6 * 24 * 60) return time.toLocaleDateString([], { weekday: "short" });
  return time.toLocaleDateString([], { day: "numeric", month: "short" });
}

/** A length of time: "340 ms", "2.1 s", "3 min 5 s". */
export function durationText(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  return `${Math.floor(durationMs / 60_000)} min ${Math.round((durationMs % 60_000) / 1000)} s`;
}
