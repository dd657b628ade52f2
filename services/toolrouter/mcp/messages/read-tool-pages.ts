/**
 * Asks for a list of tools page by page and looks at nothing but the pages: what stands in them is judged elsewhere.
 *
 * Keeps F1: what was listed before a page that can't be read stays. Keeps L7: 100 pages, 10 000 entries, and no cursor twice.
 */
import type { McpToolPage } from "../mcp-connection.ts";

const maxPages = 100;
const maxEntries = 10_000;

/** The server answered a page with an error. */
export class PageRefused extends Error {
  override readonly name = "PageRefused";
}

/**
 * `ask` asks for one page and rejects with PageRefused when the server answers with an error. What else it rejects with,
 * this throws for the first page, and tells as a problem for a later one.
 */
export async function* readToolPages(
  ask: (cursor: string | undefined) => Promise<unknown>,
): AsyncGenerator<McpToolPage> {
  const seen = new Set<string>();
  let cursor: string | undefined;
  let left = maxEntries;
  for (let page = 1; page <= maxPages; page++) {
    let answer: unknown;
    try {
      answer = await ask(cursor);
    } catch (error) {
      if (page === 1 && !(error instanceof PageRefused)) throw error;
      const where = page === 1 ? "" : `, page ${page}`;
      yield problemOf(
        `its list of tools can't be read${where}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return;
    }
    const { tools, nextCursor } = answer as { readonly tools?: unknown; readonly nextCursor?: unknown };
    if (!Array.isArray(tools)) {
      yield problemOf(`its list of tools can't be read: page ${page} has no list \`tools\``);
      return;
    }
    yield { kind: "entries", entries: tools.length > left ? tools.slice(0, left) : (tools as unknown[]) };
    if (tools.length > left) {
      yield problemOf(`it lists more than ${maxEntries} tools; the rest is left out`);
      return;
    }
    left -= tools.length;
    if (typeof nextCursor !== "string" || nextCursor === "") return;
    if (seen.has(nextCursor)) {
      yield problemOf(`its list of tools does not end: page ${page} leads back to one before`);
      return;
    }
    seen.add(nextCursor);
    cursor = nextCursor;
  }
  yield problemOf(`its list of tools has more than ${maxPages} pages; the rest is left out`);
}

function problemOf(problem: string): McpToolPage {
  return { kind: "problem", problem };
}
