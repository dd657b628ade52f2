/** Whether a name fits a pattern such as `filesystem.*`, in the router and in the agent alike. */

/**
 * `*` stands for any characters, also none; everything else stands for itself, so an empty pattern fits no name. No regular
 * expression comes from configuration: the time is linear in the name for each `*`.
 */
export function matchesName(pattern: string, name: string): boolean {
  const [head = "", ...parts] = pattern.split("*");
  const tail = parts.pop();
  if (tail === undefined) return pattern === name;
  if (!name.startsWith(head) || !name.endsWith(tail) || name.length < head.length + tail.length) return false;
  let at = head.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= name.length - tail.length;
}
