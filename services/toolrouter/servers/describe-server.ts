/** A server as the contract shows it. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Server, ServerSchema, ServerState, ServerTransport } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { adviceFor, visibleProblem } from "../problem-text.ts";
import type { ServerSupervisor } from "./server-supervisor.ts";

export function describeServer(supervisor: ServerSupervisor): Server {
  const { name, settings, restarts } = supervisor;
  const transport = settings.target.kind === "stdio" ? ServerTransport.STDIO : ServerTransport.HTTP;
  const state = describeState(supervisor);
  const serverTitle = settings.title === "" ? (state.serverTitle ?? "") : visibleProblem(settings.title);
  return create(ServerSchema, { name, transport, restarts, ...state, serverTitle });
}

function describeState({ name, settings, state }: ServerSupervisor): MessageInitShape<typeof ServerSchema> {
  switch (state.kind) {
    case "stopped":
      return { state: ServerState.STOPPED, problem: state.problem };
    case "starting":
      return { state: ServerState.STARTING, problem: state.problem };
    case "ready":
      return {
        state: ServerState.READY,
        problem: state.problem,
        toolCount: state.tools.size,
        serverTitle: visibleProblem(state.connection.title),
        serverVersion: visibleProblem(state.connection.version),
        readySince: timestampFromMs(state.readySinceMs),
      };
    case "backing-off":
      return {
        state: ServerState.BACKING_OFF,
        problem: `${state.problem}; ${adviceFor(name, settings)}`,
        nextTryAt: timestampFromMs(state.nextTryAtMs),
      };
  }
}
