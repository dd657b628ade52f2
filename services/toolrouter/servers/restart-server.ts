/**
 * Restarts a server, once a request id (R1).
 *
 * What was answered is remembered in this process alone: a mesh that was started again has restarted its servers.
 * Keeps L7: the last 1 000 request ids are remembered.
 */
import { ErrorReason, failure } from "../../kernel/errors.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import type { ServerSupervisor } from "./server-supervisor.ts";

const maxRemembered = 1000;
const method = "atoll.tool.v1.ToolRouterService/RestartServer";

export class ServerRestarts {
  readonly #done = new Map<string, { readonly server: string; readonly restarted: Promise<void> }>();

  /** Resolves when the server is being started. Errors: REQUEST_ID_REUSED. */
  async restart(scope: Scope, requestId: string, supervisor: ServerSupervisor): Promise<void> {
    const key = `${scope.tenant}\n${requestId}`;
    const done = this.#done.get(key);
    if (done === undefined) {
      const restarted = supervisor.restart();
      const oldest = this.#done.keys().next();
      if (this.#done.size >= maxRemembered && !oldest.done) this.#done.delete(oldest.value);
      this.#done.set(key, { server: supervisor.name, restarted });
      await restarted;
    } else if (done.server === supervisor.name) await done.restarted;
    else {
      throw failure(ErrorReason.REQUEST_ID_REUSED, `request_id ${requestId} was used for another request`, {
        metadata: { request_id: requestId, method },
      });
    }
  }
}
