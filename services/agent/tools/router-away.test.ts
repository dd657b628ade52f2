import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { obligingRouter, type RouterHandlers, runTheLoop, say } from "../agent.fixture.ts";

describe("a run", () => {
  it(`waits for a tool router that is away, as while it is started again ${verifies("R2")}`, async () => {
    const { handlers } = obligingRouter();
    let tries = 0;
    const router: RouterHandlers = {
      ...handlers,
      listTools() {
        tries += 1;
        if (tries < 4) throw failure(ErrorReason.PEER_UNAVAILABLE, "away", { metadata: { service: "toolrouter" } });
        return { tools: [{ name: "files.read" }] };
      },
    };
    const { finished, requests } = await runTheLoop({ scripts: [say("here I am")], router });
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED });
    expect(tries).toBe(4);
    expect(requests[0]?.tools).toMatchObject([{ name: "files.read" }]);
  });

  it("fails at once when the router answers that it may not list tools", async () => {
    let tries = 0;
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      listTools() {
        tries += 1;
        throw failure(ErrorReason.SCOPE_MISSING, "not yours", { metadata: { scope: "TOOLS_READ" } });
      },
    };
    const { finished } = await runTheLoop({ scripts: [say("never")], router });
    expect(finished).toMatchObject({ status: RunStatus.FAILED });
    expect(tries).toBe(1);
  });
});
