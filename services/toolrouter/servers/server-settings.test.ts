import { expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { systemClock } from "../../kernel/clock.ts";
import { createLog } from "../../kernel/log.ts";
import { describeServer } from "./describe-server.ts";
import { isWanted, type McpServerSettings } from "./server-settings.ts";
import { ServerSupervisor } from "./server-supervisor.ts";

const settings: McpServerSettings = {
  target: { kind: "stdio", command: "", args: [], cwd: "/", env: {} },
  ...{ disabled: true, problem: "", title: "", includeTools: [], excludeTools: [] },
  ...{ startTimeoutMs: 1_000, callTimeoutMs: 1_000, callMaxDurationMs: 1, repeatableTools: [], trusted: true },
};

it.each([
  [[], [], "any", true],
  [["echo"], [], "echo", true],
  [["echo"], [], "echo2", false],
  [["e*", "x"], [], "echo", true],
  [["*"], ["echo"], "echo", false],
  [[], ["get_*"], "get_one", false],
  [[], ["get_*"], "forget_one", true],
  [["a.b"], [], "axb", false],
  [["a*z"], [], "a\nz", true],
] as const)(
  `of the tools that include %j and exclude %j, %s is used: %s ${verifies("FC3")}`,
  (includeTools, excludeTools, tool, wanted) => {
    expect(isWanted({ ...settings, includeTools, excludeTools }, tool)).toBe(wanted);
  },
);

it(`a server that the configuration can't use says why from the beginning, and is never started ${verifies("FC2", "F1")}`, () => {
  const supervisor = new ServerSupervisor({
    name: "a",
    settings: { ...settings, problem: "it needs the variable X\u202e, which is not set", title: "A server" },
    log: createLog({ level: "silent", format: "json" }),
    clock: systemClock,
    onChange: () => undefined,
  });
  supervisor.start();
  expect(supervisor.state.kind).toBe("stopped");
  const shown = describeServer(supervisor);
  expect(shown).toMatchObject({ serverTitle: "A server", problem: expect.stringContaining("it needs the variable X") });
  expect(shown.problem).not.toContain("\u202e");
});
