/**
 * JSON text for people. Its numbers are shown as they are written: parsed and written again, an id of 64 bits would be another one.
 */

const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const indent = "  ";

/** One member a line, as JSON.stringify(…, null, 2) does it. What is no JSON comes back as it is. */
export function indentJson(text: string): string {
  if (!isJson(text)) return text;
  const tokens = text.match(token) ?? [];
  let level = 0;
  let shown = "";
  const newLine = (): string => `\n${indent.repeat(level)}`;
  for (const [index, each] of tokens.entries()) {
    switch (each) {
      case "{":
      case "[": {
        const isEmpty = tokens[index + 1] === (each === "{" ? "}" : "]");
        level += 1;
        shown += isEmpty ? each : `${each}${newLine()}`;
        break;
      }
      case "}":
      case "]": {
        level -= 1;
        const isEmpty = tokens[index - 1] === (each === "}" ? "{" : "[");
        shown += isEmpty ? each : `${newLine()}${each}`;
        break;
      }
      case ",":
        shown += `,${newLine()}`;
        break;
      case ":":
        shown += ": ";
        break;
      default:
        shown += each;
    }
  }
  return shown;
}

/** The members of an object in one line: texts as they are, everything else as `name: value`. At most `maxLength` long. */
export function previewJson(text: string, maxLength: number): string {
  if (!isJson(text) || !text.trimStart().startsWith("{")) return text.slice(0, maxLength);
  const tokens = text.match(token) ?? [];
  const members: string[] = [];
  let level = 0;
  let start = 1;
  for (const [index, each] of tokens.entries()) {
    if (each === "{" || each === "[") level += 1;
    if (each === "}" || each === "]") level -= 1;
    const isEnd = level === 0 || (level === 1 && each === ",");
    if (!isEnd) continue;
    if (index > start) members.push(previewMember(tokens.slice(start, index)));
    start = index + 1;
  }
  return members.join(", ").slice(0, maxLength);
}

/** Of a name, a colon and what follows. */
function previewMember([name = '""', , ...value]: readonly string[]): string {
  const [first = ""] = value;
  if (first.startsWith('"')) return JSON.parse(first) as string;
  return `${JSON.parse(name) as string}: ${value.join("")}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
