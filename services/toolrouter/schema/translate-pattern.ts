/**
 * Writes an ECMA-262 regular expression as RE2 reads it, and says how large its program will be.
 *
 * Two dialects name some sets of characters differently: white space, the dot, and Unicode properties by their long names.
 */

/** White space of ECMA-262 beyond RE2's ASCII one, as members of a class. */
const space = "\\s\\x0b\\x{feff}\\pZ";
const anyButLineEnd = "[^\\n\\r\\x{2028}\\x{2029}]";
/** What a Unicode property costs beside a plain character: its ranges are merged and written out. */
const propertyCost = 5;

const token =
  /\\[pP]\{[^}]*\}|\\c[A-Za-z]|\\u\{[0-9A-Fa-f]{1,6}\}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\.|\(\?<[A-Za-z_]\w*>|\(\?[:=!]|\(\?<[=!]|\{\d+(?:,\d*)?\}|./gsu;

const longCategories: Readonly<Record<string, string>> = {
  Letter: "L",
  Uppercase_Letter: "Lu",
  Lowercase_Letter: "Ll",
  Mark: "M",
  Number: "N",
  Decimal_Number: "Nd",
  Punctuation: "P",
  Symbol: "S",
  Separator: "Z",
  Space_Separator: "Zs",
  Other: "C",
  Control: "Cc",
};

export interface TranslatedPattern {
  readonly source: string;
  /** About as many instructions as the program will have. */
  readonly size: number;
}

/** Linear in the pattern's length. What RE2 does not have (look-around, back references) is left for it to refuse. */
export function translatePattern(pattern: string): TranslatedPattern {
  const written: string[] = [];
  /** Of each open group: what stands in it before its last atom. */
  const groups: number[] = [0];
  let atom = 0;
  let isInClass = false;
  const next = (size: number): void => {
    groups[groups.length - 1] = (groups.at(-1) ?? 0) + atom;
    atom = size;
  };
  for (const [text] of pattern.matchAll(token)) {
    written.push(isInClass ? translateMember(text) : translateAtom(text));
    if (isInClass) {
      if (text === "]") isInClass = false;
      else if (/^\\p/i.test(text)) atom += propertyCost;
    } else if (text === "[") {
      isInClass = true;
      next(1);
    } else if (text === "(" || text.startsWith("(?")) {
      next(0);
      groups.push(0);
    } else if (text === ")") {
      atom += groups.length > 1 ? (groups.pop() ?? 0) : 0;
    } else if (text === "*" || text === "+" || text === "?") {
      atom += 1;
    } else if (/^\{\d/.test(text)) {
      const [, least = "0", most] = /^\{(\d+)(?:,(\d*))?/.exec(text) ?? [];
      atom *= Math.max(1, Number(least), Number(most ?? 0)) + 1;
    } else next(/^\\p/i.test(text) ? propertyCost : 1);
  }
  return { source: written.join(""), size: groups.reduce((sum, size) => sum + size, atom) };
}

function translateAtom(text: string): string {
  if (text === ".") return anyButLineEnd;
  if (text === "\\s") return `[${space}]`;
  if (text === "\\S") return `[^${space}]`;
  return translateProperty(text);
}

function translateMember(text: string): string {
  if (text === "\\s") return space;
  // A bracket inside a class is a plain character there; RE2 would take `[:` for the beginning of a named class.
  return text === "[" ? "\\[" : translateProperty(text);
}

function translateProperty(text: string): string {
  const [, sign, name = ""] = /^\\([pP])\{([^}]*)\}$/.exec(text) ?? [];
  if (sign === undefined) return text;
  const value = name.slice(name.indexOf("=") + 1);
  return `\\${sign}{${longCategories[value] ?? value}}`;
}
