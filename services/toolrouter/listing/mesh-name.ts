/**
 * The name that the mesh knows a tool by: `server.tool`.
 *
 * Keeps: it depends on the server's and the tool's name alone, so it stays the same whatever else is listed; two names
 * that differ stay different, and none looks like another because of characters that nobody sees.
 */
import { createHash } from "node:crypto";
import { escapeHidden, escapeName } from "../escape-hidden.ts";

/** So that a page token of it fits the contract (see page.ts). */
const maxNameLength = 240;
const maxShownLength = 1_024;
const digestLength = 16;

export interface MeshName {
  /** At most 240 characters. */
  readonly name: string;
  /** The tool's own name for people, at most 1 024 characters; empty when `name` ends with it. */
  readonly nameAtServer: string;
}

export function nameInMesh(server: string, tool: string): MeshName {
  const start = tool.slice(0, maxShownLength);
  const whole = `${server}.${escapeSpaces(escapeName(start))}`;
  const fits = start.length === tool.length && whole.length <= maxNameLength;
  const shown = escapeHidden(start).slice(0, maxShownLength).toWellFormed();
  const name = fits ? whole : cutName(whole, tool);
  return { name, nameAtServer: name === `${server}.${shown}` ? "" : shown };
}

function cutName(whole: string, tool: string): string {
  const digest = createHash("sha256").update(tool, "utf16le").digest("hex").slice(0, digestLength);
  return `${whole.slice(0, maxNameLength - digestLength - 1).toWellFormed()}~${digest}`;
}

/** Spaces that look like another one, or like nothing. */
function escapeSpaces(name: string): string {
  const lead = name.length - name.trimStart().length;
  const end = name.trimEnd().length;
  return (
    Array.from(name.slice(0, lead), escapeCharacter).join("") +
    name.slice(lead, end).replace(/[^\S ]/gu, escapeCharacter) +
    Array.from(name.slice(Math.max(lead, end)), escapeCharacter).join("")
  );
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
