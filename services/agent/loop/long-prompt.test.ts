import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { text } from "../../../test/support/fake-anthropic/script.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { bodiesOf } from "../real-model.fixture.ts";
import {
  answering,
  callTool,
  expectToGoOn,
  lastBody,
  messagesOf,
  start,
  toolThenText,
  words,
} from "./mended-session.fixture.ts";

describe(`a prompt that is too long ${verifies("FA6", "F2")}`, () => {
  it("for four answers of 250 KB is shortened, the largest first, and the session goes on", async () => {
    const long = ["a", "b", "c", "d"].map((letter) => [
      words(`${letter}-begin ${letter.repeat(250_000)} ${letter}-end`),
    ]);
    const real = await start(
      { fake: { contextTokens: 100_000 }, router: answering(...long, [words("short and whole")]) },
      toolThenText(() => undefined, callTool(5)),
    );
    const { run, sessionId, events } = await real.ask("read it all");
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(real.statuses()).toEqual([200, 400, 200]);
    const [mended] = bodiesOf(events, "historyMended");
    expect(mended?.blocks).toHaveLength(4);
    expect(mended?.reason).toContain("no longer fitted");
    const sent = lastBody(real);
    expect(sent).toContain("short and whole");
    for (const letter of ["a", "b", "c", "d"]) {
      expect(sent).toContain(`${letter}-begin`);
      expect(sent).toContain(`${letter}-end`);
    }
    expect(Buffer.byteLength(sent)).toBeGreaterThan(250_000);
    await expectToGoOn(real, sessionId);
  });

  it("shortens the answers of earlier turns before the newest", async () => {
    const contents = [[words(`old ${"o".repeat(250_000)}`)], [words(`new ${"n".repeat(200_000)}`)]];
    const real = await start({ fake: { contextTokens: 80_000 }, router: answering(...contents) }, (body) => {
      const last = messagesOf(body).at(-1)?.content ?? [];
      return last.some(({ type }) => type === "tool_result") ? text("read") : callTool();
    });
    const { sessionId } = await real.ask("first");
    const { run } = await real.ask("second", sessionId);
    expect(run.status).toBe(RunStatus.COMPLETED);
    expect(lastBody(real)).toContain("n".repeat(200_000));
    expect(lastBody(real)).not.toContain("o".repeat(200_000));
  });

  it("says reset or fork when a person's own words do not fit at their shortest", async () => {
    const real = await start({ fake: { contextTokens: 300 } }, [text("no")]);
    const { run } = await real.ask("w ".repeat(20_000));
    expect(run).toMatchObject({ status: RunStatus.FAILED, failure: { reason: ErrorReason.MODEL_REFUSED } });
    expect(run.failure?.message).toMatch(/[Rr]eset or fork the session/);
    expect(real.statuses().length).toBeLessThanOrEqual(9);
  });
});
