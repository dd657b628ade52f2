import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { WriterRecord } from "../history.ts";
import { checkWriters } from "./check-writers.ts";
import {
  finished,
  type HistoryFolder,
  logsOf,
  openHistoryFolder,
  queued,
  received,
  type Said,
} from "./synthetic.fixture.ts";

let folder: HistoryFolder;
beforeEach(() => {
  folder = openHistoryFolder();
});
afterEach(() => folder.remove());

/** What is reported of these histories. */
async function problemsOf(
  records: readonly WriterRecord[],
  said: readonly Said[],
  calls?: readonly object[],
): Promise<string[]> {
  const problems: string[] = [];
  const callHistory = calls === undefined ? "/nowhere/calls.jsonl" : folder.write("calls.jsonl", calls);
  const writer = folder.write("writer-a.jsonl", records);
  await checkWriters([writer], callHistory, logsOf(...said), (problem) => problems.push(problem));
  return problems;
}

const send = (mark: string, mode = "followup"): WriterRecord => ({
  kind: "send",
  requestId: `r_${mark}`,
  key: "agent:main:a",
  mark,
  mode,
});
const answer = (mark: string, seq: number, runId = "run_a"): WriterRecord => ({
  kind: "answer",
  requestId: `r_${mark}`,
  sessionId: "ses_a",
  runId,
  messageId: `msg_${mark}`,
  seq,
  logId: "log_a",
});
const refused = (mark: string, cause: string, reason: string): WriterRecord => ({
  kind: "refused",
  requestId: `r_${mark}`,
  cause,
  reason,
});
const whole: readonly Said[] = [received("m0"), queued(["m0"]), { body: "runStarted" }, finished()];

describe("requests", () => {
  it("finds nothing when one message made one run", async () => {
    expect(await problemsOf([send("m0"), answer("m0", 1), answer("m0", 1)], whole)).toEqual([]);
  });

  it("finds a copy that was refused while another one was accepted", async () => {
    const other = refused("m0", "REQUEST_ID_REUSED", "AlreadyExists: the request id was used with another body");
    expect(await problemsOf([send("m0"), answer("m0", 1), other], whole)).toEqual([
      "R1 r_m0: accepted as msg_m0, yet a copy was refused (AlreadyExists: the request id was used with another body)",
    ]);
  });

  it("finds refusals that nothing explains, each of them", async () => {
    const marks = Array.from({ length: 9 }, (_, index) => `x${index}`);
    const lost = marks.flatMap((mark) => [send(mark), refused(mark, "SCOPE_MISSING", "PermissionDenied: no")]);
    const problems = await problemsOf([send("m0"), answer("m0", 1), ...lost], whole);
    expect(problems).toEqual(marks.map((mark) => `refused r_${mark}: PermissionDenied: no, which nothing explains`));
  });

  it("takes a full queue for what it is, also when a later copy was accepted", async () => {
    const full = refused("m0", "QUEUE_FULL", "ResourceExhausted: the queue is full");
    const never = [send("m1"), refused("m1", "QUEUE_FULL", "ResourceExhausted: the queue is full")];
    expect(await problemsOf([send("m0"), full, answer("m0", 1), ...never], whole)).toEqual([]);
  });

  it("takes a busy session for what it is only where a message asked to be refused then", async () => {
    const busy = refused("m1", "SESSION_BUSY", "FailedPrecondition: busy");
    const first = [send("m0"), answer("m0", 1)];
    expect(await problemsOf([...first, send("m1", "reject"), busy], whole)).toEqual([]);
    expect(await problemsOf([...first, send("m1", "followup"), busy], whole)).toEqual([
      "refused r_m1: FailedPrecondition: busy, which nothing explains",
    ]);
  });
});

describe("runs and the messages that make them", () => {
  const sent = [send("m0"), answer("m0", 1)];

  it("finds one message that made two runs", async () => {
    const twice = [...whole, queued(["m0"], "run_b"), { body: "runStarted", run: "run_b" }, finished("run_b")];
    expect(await problemsOf(sent, twice)).toEqual(["R1 ses_a: message msg_m0 is queued in run_a and in run_b"]);
  });

  it("finds a run that no message made", async () => {
    expect(await problemsOf(sent, [...whole, queued([], "run_b"), finished("run_b")])).toEqual([
      "R1 ses_a: run_b is queued for no message",
    ]);
    expect(await problemsOf(sent, [...whole, queued(["m9"], "run_b"), finished("run_b")])).toEqual([
      "R1 ses_a: run_b is queued for message msg_m9, which did not come before it",
    ]);
  });

  it("finds a message that nobody sent", async () => {
    const more = [received("m9", "run_b"), queued(["m9"], "run_b"), finished("run_b")];
    expect(await problemsOf(sent, [...whole, ...more])).toEqual(["R1 message of m9: nobody sent it"]);
  });

  it("finds an answer that names another run than the log", async () => {
    expect(await problemsOf([send("m0"), answer("m0", 1, "run_z")], whole)).toEqual([
      "R1 r_m0: answered msg_m0 at 1 for run_z, the log has msg_m0 at 1 for run_a",
    ]);
  });

  it("lets a message move on that its run did not read, and only such a one", async () => {
    const steered = [...sent, send("m1", "steer"), answer("m1", 4)];
    const until = (...step: readonly string[]): readonly Said[] => [
      ...[received("m0"), queued(["m0"]), { body: "runStarted" }, received("m1")],
      { body: "stepStarted", step: 1, messages: step },
      ...[finished(), queued(["m1"], "run_b"), { body: "runStarted", run: "run_b" }, finished("run_b")],
    ];
    expect(await problemsOf(steered, until())).toEqual([]);
    expect(await problemsOf(steered, until("msg_m1"))).toEqual([
      "R1 ses_a: message msg_m1 was read by run_a and is queued in run_b",
    ]);
  });
});

describe("tool calls", () => {
  const sent = [send("m0"), answer("m0", 1)];
  const call = { call: "c1", step: 1 };
  const called: readonly Said[] = [
    ...whole.slice(0, 3),
    { body: "toolCallProposed", ...call, tool: "recorder.echo", argument: "m0" },
    { body: "toolCallFinished", ...call, succeeded: true },
    finished(),
  ];

  it("finds nothing when the tool wrote down what the log says", async () => {
    expect(await problemsOf(sent, called, [{ tool: "echo", args: { text: "m0" } }])).toEqual([]);
  });

  it("finds calls that succeeded in the log and that the tool does not know of", async () => {
    const problem = ["T1 call c1 succeeded for m0, yet the tool was never called for it"];
    expect(await problemsOf(sent, called)).toEqual(problem);
    expect(await problemsOf(sent, called, [])).toEqual(problem);
    expect(await problemsOf(sent, called, [{ tool: "echo", args: { text: "m7" } }])).toEqual(problem);
  });

  it("finds a tool that was called twice", async () => {
    const twice = [1, 2].map(() => ({ tool: "slow", args: { text: "m0" } }));
    expect(await problemsOf(sent, called, twice)).toEqual(["T1 the tool was called 2 times for m0"]);
  });

  it("expects nothing of a call that did not succeed", async () => {
    const refusedCall = called.map((each) => (each.body === "toolCallFinished" ? { ...each, succeeded: false } : each));
    expect(await problemsOf(sent, refusedCall)).toEqual([]);
  });
});
