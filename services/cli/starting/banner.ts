/** What a mesh that has started tells the person: where it is, and commands that work as they are printed. */

import { join } from "node:path";
import { describeWarning } from "../../kernel/config/config-warning.ts";
import type { ResolvedConfig } from "../../kernel/config/resolved-config.ts";
import { offlineModel } from "../../kernel/model-names.ts";

/** How a person in the folder of a mesh calls the command line: npx never fetches a program with --no. */
const atoll = "npx --no atoll";

export interface MeshFacts {
  readonly url: string;
  /** A one-time link to the page; undefined to tell how to get one. */
  readonly link: string | undefined;
}

/** Lines. They are for a second terminal in the same folder. */
export function describeMesh(
  { url, link }: MeshFacts,
  config: Pick<ResolvedConfig, "dataDir" | "agents" | "defaultAgent" | "warnings">,
): string[] {
  const model = config.agents.get(config.defaultAgent)?.model ?? "";
  const data = config.dataDir === join(process.cwd(), ".atoll") ? "" : ` --data ${shellWord(config.dataDir)}`;
  return [
    "",
    `  Atoll is ready at ${url}`,
    `  model        ${model}${model === offlineModel ? " (scripted; set ANTHROPIC_API_KEY for Claude)" : ""}`,
    "",
    `  web page     ${link ?? `${url}, with a link from: ${atoll} token --link${data}`}`,
    `  chat         ${atoll} chat${data} "which files are in the workspace, and what does notes.md say?"`,
    `  curl         curl -H "authorization: Bearer $(${atoll} token${data})" \\`,
    "                 -H 'content-type: application/json' \\",
    `                 -d '{"requestId":"hello-1","message":{"content":[{"text":{"text":"hello"}}]}}' \\`,
    `                 ${url}/atoll.gateway.v1.GatewayService/SendMessage`,
    "",
    ...describeWarnings(config),
  ];
}

const maxShownWarnings = 8;

function describeWarnings({ warnings }: Pick<ResolvedConfig, "warnings">): string[] {
  if (warnings.length === 0) return [];
  const shown = warnings.slice(0, maxShownWarnings).map((warning) => `    ${describeWarning(warning)}`);
  const more = warnings.length - shown.length;
  const head = `  configuration: ${warnings.length} ${warnings.length === 1 ? "warning" : "warnings"}`;
  return [head, ...shown, ...(more > 0 ? [`    … and ${more} more: ${atoll} doctor`] : []), ""];
}

function shellWord(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
