/** The tools that an agent may use, read from the tool router and kept for a moment. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { type Tool, ToolState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import { matchesName } from "../../kernel/match-name.ts";
import type { AgentDeps, RunnableAgent } from "../agent-deps.ts";
import type { ModelTool } from "../models/model.ts";
import { untilAborted } from "../until-aborted.ts";
import { RouterAway } from "./router-away.ts";

/** How long a list is used before it is read again. */
const freshMs = 1_000;
const maxTenants = 1_000;
const pageSize = 1_000;

interface SharedList {
  readonly readAtMs: number;
  readonly tools: Promise<readonly ModelTool[]>;
  /** Whose call reads it. */
  readonly by: CallOptions;
}

export class ToolList {
  readonly #deps: Pick<AgentDeps, "toolRouter" | "clock" | "log">;
  readonly #lists = new Map<string, SharedList>();

  constructor(deps: Pick<AgentDeps, "toolRouter" | "clock" | "log">) {
    this.#deps = deps;
  }

  /**
   * @param key Whose list it is: callers with the same key see the same tools.
   * @param signal Ends this wait at once, with its reason; a list that others read as well is read to its end.
   */
  async read(key: string, agent: RunnableAgent, call: CallOptions, signal: AbortSignal): Promise<readonly ModelTool[]> {
    const away = new RouterAway(this.#deps.clock);
    for (;;) {
      try {
        const list = this.#readFresh(key, call);
        const tools = await untilAborted(list.tools, signal).catch((error: unknown) => {
          // It was read with the token of another run, which has ended meanwhile: that says nothing of this one. Nor would
          // what a third one reads by now: it may have ended as well.
          if (list.by === call || signal.aborted || !isOver(error)) throw error;
          return untilAborted(this.#readOwn(key, call).tools, signal);
        });
        return tools.filter((tool) => agent.tools.some((pattern) => matchesName(pattern, tool.name)));
      } catch (error) {
        signal.throwIfAborted();
        if (!(await away.mayComeBack(error, signal))) throw error;
        this.#deps.log.warn({ error: String(error) }, "the tool router can't be reached; the tools are listed again");
      }
    }
  }

  #readFresh(key: string, call: CallOptions): SharedList {
    const list = this.#lists.get(key);
    const isFresh = list !== undefined && this.#deps.clock.monotonicMs() - list.readAtMs <= freshMs;
    return isFresh ? list : this.#readOwn(key, call);
  }

  /** Others may use it as well. */
  #readOwn(key: string, call: CallOptions): SharedList {
    const list: SharedList = { readAtMs: this.#deps.clock.monotonicMs(), tools: this.#readAll(call), by: call };
    list.tools.catch(() => {
      if (this.#lists.get(key) === list) this.#lists.delete(key);
    });
    if (this.#lists.size >= maxTenants) this.#lists.clear();
    this.#lists.set(key, list);
    return list;
  }

  async #readAll(call: CallOptions): Promise<readonly ModelTool[]> {
    const tools: ModelTool[] = [];
    let pageToken = "";
    do {
      const page = await this.#deps.toolRouter.listTools({ pageSize, pageToken }, call);
      for (const server of page.unavailable) {
        this.#deps.log.warn({ server: server.name, problem: server.problem }, "the tools of a server are missing");
      }
      tools.push(...page.tools.filter(mayBeCalled).map(toModelTool));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return tools;
  }
}

/** What can't be called is nothing that a model should read. */
function mayBeCalled({ state }: Tool): boolean {
  return state !== ToolState.UNUSABLE && state !== ToolState.PENDING && state !== ToolState.QUARANTINED;
}

const endings = [ErrorReason.RUN_FINISHED, ErrorReason.EPOCH_FENCED, ErrorReason.RUN_NOT_FOUND];

function isOver(error: unknown): boolean {
  return endings.some((reason) => failedWith(error, reason));
}

function toModelTool(tool: Tool): ModelTool {
  const inputSchema: JsonObject = tool.inputSchema ?? { type: "object" };
  return { name: tool.name, description: tool.description, inputSchema };
}
