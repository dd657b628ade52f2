/**
 * Stack traces of the built program name our sources. Node's own support for source maps reads all of them at each start, which
 * is a third of it; here a map is read when the first stack that needs it is.
 *
 * Keeps: what can't be read changes nothing, and a map stays in memory only for as long as there is room.
 */
import { readFileSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** A call as V8 writes it: `named (file:///…/main.js:1:2)`. */
interface Frame {
  toString(): string;
}

/** @param program The URL of a file of the built program, whose folder has all others and their maps. */
export function nameSources(program: string): void {
  const folderUrl = new URL(".", program).href;
  const folder = fileURLToPath(folderUrl);
  const maps = new Map<string, WeakRef<SourceMap> | undefined>();
  // Of modules it is the URL, in which a space is no space.
  const place = /(file:\/\/[^\s()]+\.js):(\d+):(\d+)/;

  function mapOf(file: string): SourceMap | undefined {
    const known = maps.get(file)?.deref();
    if (known !== undefined || (maps.has(file) && maps.get(file) === undefined)) return known;
    const map = readMap(resolve(folder, `${file}.map`));
    maps.set(file, map && new WeakRef(map));
    return map;
  }

  function nameSource(frame: string): string {
    const [whole, url = "", line, column] = place.exec(frame) ?? [];
    if (whole === undefined) return frame;
    const file = url.slice(folderUrl.length);
    if (!url.startsWith(folderUrl) || file.includes("/")) return frame;
    const entry = mapOf(file)?.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry === undefined || !("originalSource" in entry)) return frame;
    const source = resolve(folder, entry.originalSource);
    return frame.replace(whole, () => `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`);
  }

  Error.prepareStackTrace = (error: unknown, sites: readonly Frame[]) => {
    const frames = sites.map((site) => `\n    at ${site.toString()}`);
    const title = titleOf(error);
    try {
      return title + frames.map(nameSource).join("");
    } catch {
      return title + frames.join("");
    }
  };
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, "utf8")) as SourceMapPayload);
  } catch {
    return undefined;
  }
}

function titleOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "Error";
  }
}
