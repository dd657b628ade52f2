/**
 * Definitions of tools that the API refused, so that the next call is made without them at once.
 *
 * Keeps L7: at most `mostKept`, each for `keptMs`; then a tool is offered again, in case that the API has learned.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../../../kernel/clock.ts";
import type { ModelTool } from "../../model.ts";

const mostKept = 1_024;
const keptMs = 3_600_000;

export interface RefusedTools {
  add(tool: ModelTool, reason: string): void;
  /** Why the API refused this very definition; undefined when it did not. */
  reasonOf(tool: ModelTool): string | undefined;
}

export function createRefusedTools(clock: Clock): RefusedTools {
  const refused = new Map<string, { readonly reason: string; readonly atMs: number }>();
  return {
    add(tool, reason) {
      for (const oldest of [...refused.keys()].slice(0, Math.max(0, refused.size + 1 - mostKept)))
        refused.delete(oldest);
      refused.set(keyOf(tool), { reason, atMs: clock.monotonicMs() });
    },
    reasonOf(tool) {
      if (refused.size === 0) return undefined;
      const found = refused.get(keyOf(tool));
      return found !== undefined && clock.monotonicMs() - found.atMs < keptMs ? found.reason : undefined;
    },
  };
}

function keyOf({ name, description, inputSchema }: ModelTool): string {
  return createHash("sha256")
    .update(JSON.stringify([name, description, inputSchema]))
    .digest("hex");
}
