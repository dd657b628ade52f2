/**
 * The one list of characters that a reader does not see, or that do something to what a reader sees: they move a
 * terminal's cursor, begin a line, turn the reading direction, or carry text that nobody notices.
 *
 * Keeps: what people write stays readable. Letters of every script, emoji with their joiners and variation selectors, and
 * text that is written from right to left have none of these characters.
 */

// Cc: controls (C0, DEL, C1). Zl, Zp: line and paragraph separator. DI: what Unicode calls default-ignorable: zero-width
// characters, bidirectional controls, fillers, invisible operators, tags, variation selectors. Then interlinear annotations
// and lone surrogates.
const candidates = /[\p{Cc}\p{Zl}\p{Zp}\p{DI}\ufff9-\ufffb]|[\ud800-\udfff]/gu;

/** Latin letters and what stands before them in Unicode join nothing. */
const lastLatin = 0x24f;

const joiner = /[\u200c\u200d]/u;
const variation = /[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
const mongolianVariation = /[\u180b-\u180d\u180f]/u;

/**
 * Replaces each hidden character; `before` is what stands in front of the text, for a text that comes in pieces.
 * A joiner or a variation selector is hidden only where it has nothing to join or vary.
 */
export function replaceHidden(text: string, replace: (character: string) => string, before = ""): string {
  return text.replace(candidates, (character, offset: number) => {
    const previous = lastCharacter(offset === 0 ? before : text.slice(Math.max(0, offset - 2), offset));
    return isAtItsPlace(character, previous) ? character : replace(character);
  });
}

function isAtItsPlace(character: string, previous: string): boolean {
  if (joiner.test(character)) return isJoinable(previous);
  if (variation.test(character)) {
    const isIdeographic = (character.codePointAt(0) ?? 0) >= 0xe0100;
    return isIdeographic ? /\p{Script=Han}/u.test(previous) : /[#*0-9\p{L}\p{S}\p{P}]/u.test(previous);
  }
  return mongolianVariation.test(character) && /\p{Script=Mongolian}/u.test(previous);
}

/** Behind a letter or mark of a script that joins, an emoji, its skin tone or its variation selector. */
function isJoinable(previous: string): boolean {
  return (previous.codePointAt(0) ?? 0) > lastLatin && /[\p{L}\p{M}\p{S}]|\ufe0f/u.test(previous);
}

function lastCharacter(text: string): string {
  return Array.from(text).at(-1) ?? "";
}
