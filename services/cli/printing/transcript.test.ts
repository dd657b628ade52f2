import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { lexer } from "marked";
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { AnswerAction, ApprovalDecision, ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { SessionSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ended, logOf, outside, said, started, step, text, transcript, type Written } from "./written-log.fixture.ts";

const queued = (runId = "run_1"): Written => [
  { case: "runQueued", value: { agentId: "main" } },
  { runId, step: 0 },
];

const answer = (words: string): Written => [{ case: "textDelta", value: { blockId: "1.1.0", text: words } }];

const proposed = (callId: string): Written => [
  { case: "toolCallProposed", value: { callId, tool: "files.read", argumentsJson: JSON.stringify({ path: "a`b" }) } },
];

const finished = (callId: string, outcome: ToolOutcome, words: string): Written => [
  { case: "toolCallFinished", value: { callId, outcome, content: [text(words)], durationMs: 12 } },
];

describe("a transcript", () => {
  it("has the title, messages, answers, tool calls with results, and how each run ended", async () => {
    const log = logOf(
      said("what is in a?"),
      queued(),
      started(),
      step,
      proposed("c1"),
      finished("c1", ToolOutcome.SUCCEEDED, "the words"),
      proposed("c2"),
      finished("c2", ToolOutcome.UNKNOWN, ""),
      answer("The **words**."),
      ended(RunStatus.COMPLETED),
      said("and b?", "run_2"),
      queued("run_2"),
      ended(RunStatus.CANCELLED, { cancelledBy: "user:ada" }, "run_2"),
    );
    expect(await transcript([log])).toBe(`# Boats \\# \\[now\\]\\(http\\://a.b\\)

- Session: \`ses_1\`
- Agent: \`main\`

## Message from \`user:ada\`, 2026-01-02T00:00:00.000Z

\`\`\`text
what is in a?
\`\`\`

## Answer of \`main\`, model \`offline\`

### Tool \`files.read\`

\`\`\`json
{
  "path": "a\`b"
}
\`\`\`

_It ended as succeeded after 12 ms._

\`\`\`text
the words
\`\`\`

### Tool \`files.read\`

\`\`\`json
{
  "path": "a\`b"
}
\`\`\`

_It may or may not have had its effect after 12 ms._

\`\`\`markdown
The **words**.
\`\`\`

_This text is not whole._

_Completed._

## Message from \`user:ada\`, 2026-01-02T00:00:00.000Z

\`\`\`text
and b?
\`\`\`

## Answer of \`main\`

_Cancelled by \`user:ada\`._

_End of the log at event 13._`);
  });

  it(`shows nothing that was withdrawn, and says that it was ${verifies("S8")}`, async () => {
    const log = logOf(
      said("q"),
      started(),
      step,
      answer("wrong"),
      [{ case: "stepDiscarded", value: { step: 1, attempt: 1 } }],
      [{ case: "stepStarted", value: { model: "offline" } }, { attempt: 2 }],
      [{ case: "textDelta", value: { blockId: "1.2.0", text: "right" } }, { attempt: 2 }],
    );
    const shown = await transcript([log]);
    expect(shown).toContain("right");
    expect(shown).not.toContain("wrong");
    expect(shown).toContain("was void");
    expect(shown).toContain("_It is not at its end._");
  });

  it("summarises a long result, and a failure, on places of their own", async () => {
    const log = logOf(
      said("q"),
      started(),
      step,
      proposed("c1"),
      finished("c1", ToolOutcome.FAILED, "x".repeat(5_000)),
      ended(RunStatus.FAILED, { failure: { message: "no\n# way" } }),
    );
    const shown = await transcript([log]);
    expect(shown).toContain("… (4000 more characters)");
    expect(shown).toContain("_Failed: no \\# way._");
    expect(shown.length).toBeLessThan(3_000);
  });

  it("has what an answer of a tool says when it says it as an object only", async () => {
    const done = (callId: string, more: object): Written => [
      { case: "toolCallFinished", value: { callId, outcome: ToolOutcome.SUCCEEDED, ...more } },
    ];
    const structuredJson = '{"status":"shipped"}';
    const picture = { block: { case: "image" as const, value: { media: { mediaType: "image/png" } } } };
    const shownOf = (more: object) => transcript([logOf(said("q"), started(), step, proposed("c1"), done("c1", more))]);
    const asJson = '```json\n{\n  "status": "shipped"\n}\n```';
    expect(await shownOf({ structuredJson })).toContain(`after 0 ms._\n\n${asJson}`);
    expect(await shownOf({ structuredJson, content: [picture] })).toContain(
      `\`\`\`text\n[image image/png]\n\`\`\`\n\n${asJson}`,
    );
    // A tool that says it in words says the same twice.
    expect(await shownOf({ structuredJson, content: [text("It was shipped.")] })).not.toContain(asJson);
  });

  it("has what is said in a voice message, and what a picture shows", async () => {
    const content = [
      {
        block: {
          case: "audio" as const,
          value: { media: { mediaType: "audio/ogg", fileName: "v.ogg" }, transcript: "cancel\norder 4711" },
        },
      },
      { block: { case: "image" as const, value: { media: { mediaType: "image/png" }, altText: "a broken parcel" } } },
    ];
    const shown = await transcript([logOf([{ case: "messageReceived", value: { messageId: "m", content } }, outside])]);
    expect(shown).toContain("```text\n[audio v.ogg audio/ogg]\nTranscript: cancel\norder 4711\n```");
    expect(shown).toContain("```text\n[image image/png]\nDescription: a broken parcel\n```");
  });

  it("leaves no empty place where there is no reason", async () => {
    const notes = (reason: string, agentId: string): Written[] => [
      [{ case: "runResumed", value: { attempt: 2, reason } }],
      [{ case: "modelSwitched", value: { fromModel: agentId, toModel: "b", reason } }],
      [{ case: "subagentSpawned", value: { sessionId: "ses_2", agentId, task: reason } }],
      ended(RunStatus.FAILED, { failure: { message: reason } }),
    ];
    const silent = await transcript([logOf(said("q"), started(), step, ...notes("\n", ""))]);
    for (const line of ["_Taken up again_", "_The model changed to `b`_", "_Asked an agent in `ses_2`_", "_Failed._"])
      expect(silent).toContain(`\n${line}\n`);
    const told = await transcript([logOf(said("q"), started(), step, ...notes("so", "a"))]);
    for (const line of [
      "_Taken up again: so_",
      "_The model changed from `a` to `b`: so_",
      "_Asked `a` in `ses_2`: so_",
      "_Failed: so._",
    ])
      expect(told).toContain(`\n${line}\n`);
  });

  const asked = (reason = "writes a file"): Written => [
    { case: "approvalRequested", value: { approvalId: "a1", callId: "c1", tool: "files.write", reason } },
  ];
  const decided = (decision: ApprovalDecision, decidedBy = ""): Written => [
    { case: "approvalResolved", value: { approvalId: "a1", decision, decidedBy } },
  ];

  it.each([
    [[asked()], "_Nobody has decided yet._"],
    [[asked(), decided(ApprovalDecision.ALLOW_ONCE, "user:ada")], "_Allowed once by `user:ada`._"],
    [[asked(), decided(ApprovalDecision.ALLOW_ALWAYS, "user:ada")], "_Allowed always by `user:ada`._"],
    [[asked(), decided(ApprovalDecision.DENY)], "_Denied._"],
    [[asked(), decided(ApprovalDecision.EXPIRED)], "_Nobody decided in time._"],
  ])("has what was decided about a call (%#)", async (events, decision) => {
    const shown = await transcript([logOf(said("q"), started(), step, proposed("c1"), ...events)]);
    expect(shown).toContain(`_A person was asked: writes a file_\n\n${decision}`);
  });

  const question: Written = [{ case: "questionAsked", value: { questionId: "q1", message: "Which boat?" } }];
  const accepted = (answer: object) => ({ action: AnswerAction.ACCEPT, answeredBy: "user:ada", answer });
  const answered = (value: object): Written => [{ case: "questionAnswered", value: { questionId: "q1", ...value } }];

  it.each([
    [[question], "_Nobody has answered yet._"],
    [
      [question, answered(accepted({ case: "contentJson", value: '{"boat":"red"}' }))],
      '_Answered by `user:ada`:_\n\n```json\n{\n  "boat": "red"\n}\n```',
    ],
    [
      [question, answered(accepted({ case: "text", value: "the red one" }))],
      "_Answered by `user:ada`:_\n\n```text\nthe red one\n```",
    ],
    [[question, answered({ action: AnswerAction.DECLINE, answeredBy: "user:ada" })], "_Declined by `user:ada`._"],
    [[question, answered({ action: AnswerAction.CANCEL })], "_Withdrawn, or not answered in time._"],
  ])("has the answer to a question (%#)", async (events, answerOf) => {
    const shown = await transcript([logOf(said("q"), started(), step, ...events)]);
    expect(shown).toContain(`### Question\n\n\`\`\`text\nWhich boat?\n\`\`\`\n\n${answerOf}`);
  });

  it("keeps whatever is said in its place", async () => {
    const parts = fc.constantFrom("```", "~~~", "\n", "# H", "<!--", "<script>", "![](http://x)", "> ", "_", "`", "a");
    const hostile = fc.array(parts, { minLength: 1, maxLength: 10 }).map((each) => each.join(""));
    await fc.assert(
      fc.asyncProperty(hostile, hostile, hostile, async (question, result, reply) => {
        const log = logOf(
          said(question),
          started(),
          step,
          proposed("c1"),
          asked(question),
          decided(ApprovalDecision.DENY, result),
          finished("c1", ToolOutcome.SUCCEEDED, result),
          [{ case: "questionAsked", value: { questionId: "q1", message: question } }],
          answered({
            action: AnswerAction.ACCEPT,
            answeredBy: reply,
            answer: { case: "contentJson", value: JSON.stringify({ [question]: result }) },
          }),
          answer(reply),
          ended(RunStatus.FAILED, { failure: { message: reply } }),
        );
        const of = create(SessionSchema, { sessionId: "ses_1", key: "k", title: question });
        const kinds = lexer(await transcript([log], of)).flatMap(({ type }) => (type === "space" ? [] : [type]));
        expect(kinds).toEqual([
          ...["heading", "list", "heading", "code", "heading", "heading", "code"],
          ...["paragraph", "paragraph", "paragraph", "code", "heading", "code", "paragraph", "code", "code"],
          ...["paragraph", "paragraph", "paragraph"],
        ]);
      }),
      { numRuns: 300 },
    );
  });
});
