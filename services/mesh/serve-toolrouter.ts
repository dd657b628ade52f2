/** The tool router with its ledger, its blobs and the folder that its servers work in. */
import { createClient } from "@connectrpc/connect";
import { Scope as AuthScope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { holdsScope } from "../kernel/auth/authenticate.ts";
import { makeWorkspaceDir } from "../kernel/config/folders/data-dir.ts";
import { principalOf, scopeOf } from "../kernel/rpc/call-context.ts";
import { openBlobStore } from "../kernel/store/open-blob-store.ts";
import { openCallLedger } from "../toolrouter/ledger/open-call-ledger.ts";
import { closeTimeoutMs, startToolRouter, type ToolRouterPart } from "../toolrouter/register.ts";
import { settingsOf } from "../toolrouter/servers/server-settings.ts";
import type { Wiring } from "./wiring.ts";

/** Its servers are not started yet. */
export async function serveToolRouter(wiring: Wiring): Promise<ToolRouterPart> {
  const { config, clock, lifecycle, served } = wiring;
  const nowMs = (): number => clock.nowMs();
  await makeWorkspaceDir(config.workspaceDir);
  const ledger = await openCallLedger(config.dataDir, nowMs, wiring.storeOptions);
  await lifecycle.register({ name: "call ledger", close: () => ledger.close() });
  const toolRouter = startToolRouter({
    ledger,
    blobs: await openBlobStore(config.dataDir, nowMs),
    servers: new Map([...config.mcpServers].map(([name, each]) => [name, settingsOf(each, config.inheritedEnv)])),
    agentTools: new Map([...config.agents].map(([id, agent]) => [id, agent.tools])),
    log: wiring.log.child({ service: "toolrouter" }),
    clock,
    instanceId: wiring.instanceId,
    callerOf: (context) => ({
      scope: scopeOf(context),
      run: principalOf(context).run,
      isToolsAdmin: holdsScope(principalOf(context), AuthScope.TOOLS_ADMIN),
    }),
    session: createClient(SessionService, served.peer("session")),
  });
  await lifecycle.register({ name: "toolrouter", close: () => toolRouter.close(), closeTimeoutMs });
  served.addPart("toolrouter", ToolRouterService, toolRouter.routes);
  return toolRouter;
}
