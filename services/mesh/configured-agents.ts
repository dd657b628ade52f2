/** The agents of the configuration as the session service knows them, and offers them to workers. */
import { createHash } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type OfferedAgent, OfferedAgentSchema } from "../../gen/atoll/session/v1/attach_pb.ts";
import type { ResolvedAgent, ResolvedConfig } from "../kernel/config/resolved-config.ts";
import type { ConfiguredAgent } from "../session/session-deps.ts";
import { queueModes } from "./queue-modes.ts";

export function configuredAgents({ agents }: Pick<ResolvedConfig, "agents">): ReadonlyMap<string, ConfiguredAgent> {
  return new Map(
    [...agents].map(([agentId, agent]) => {
      const { pool, workerLabels, queueMode } = agent;
      return [agentId, { offered: offeredAgent(agent), pool, workerLabels, queueMode: queueModes[queueMode] }];
    }),
  );
}

function offeredAgent({ id, maxDurationMs, tools, ...agent }: ResolvedAgent): OfferedAgent {
  const { model, instructions, maxSteps, maxOutputTokens, thinkingTokens, historyMessages, parallelTools } = agent;
  const fields: MessageInitShape<typeof OfferedAgentSchema> = {
    ...{ agentId: id, model, instructions, tools: [...tools], maxDurationMs: BigInt(maxDurationMs) },
    ...{ maxSteps, maxOutputTokens, thinkingTokens, historyMessages, parallelTools },
  };
  // Fields in order of number, nothing that changes by itself: the same bytes for the same agent.
  const bytes = toBinary(OfferedAgentSchema, create(OfferedAgentSchema, fields));
  const revision = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  return create(OfferedAgentSchema, { ...fields, revision });
}
