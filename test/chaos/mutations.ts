/**
 * Ways to break the code on purpose, each a small edit of a copy of the tree, and what the checker must say then. An edit
 * whose text is not found exactly once is stale, and the self-test fails: it would prove nothing.
 */

export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** What at least one problem must begin with. */
  readonly caughtAs: RegExp;
  /** Words for chaos.ts beside the usual ones. */
  readonly flags?: readonly string[];
}

const rules = "services/session/rules";
const sqlite = "services/session/store/sqlite";

export const mutations: readonly Mutation[] = [
  {
    name: "a late worker may write (no fence)",
    edits: [
      {
        file: `${rules}/judge-batch.ts`,
        find: 'if (batch.epoch !== run.epoch || run.epoch === 0) return { kind: "fenced", epoch: run.epoch };',
        replace: 'if (batch.epoch !== run.epoch) return { kind: "append" };',
      },
    ],
    caughtAs: /^(L4|R2|R4|S8)/,
    flags: ["--freeze-every-ms", "2000"],
  },
  {
    name: "a batch that is sent again is appended again",
    edits: [
      {
        file: `${rules}/judge-batch.ts`,
        find: 'return { kind: "replayed" };',
        replace: 'return { kind: "append" };',
      },
    ],
    caughtAs: /^(S3|S6|R2|R4|T1)/,
    flags: ["--cut-every-ms", "1500"],
  },
  {
    name: "repeated requests are not recognised (no dedupe)",
    edits: [
      {
        file: `${rules}/judge-request.ts`,
        find: 'if (stored === undefined) return "new";',
        replace: 'return "new";',
      },
      { file: `${sqlite}/request-rows.ts`, find: "`INSERT INTO requests", replace: "`INSERT OR REPLACE INTO requests" },
    ],
    caughtAs: /^R1/,
  },
  {
    name: "answers to requests are kept in memory alone (dedupe in memory)",
    edits: [
      {
        // A temporary table stands in front of the real one and ends with the process.
        file: `${sqlite}/request-rows.ts`,
        find: "  constructor(database: DatabaseSync) {\n",
        replace:
          '  constructor(database: DatabaseSync) {\n    database.exec("CREATE TEMP TABLE requests AS SELECT * FROM main.requests LIMIT 0");\n',
      },
    ],
    caughtAs: /^R1/,
    flags: ["--kill", "session", "--kill-every-ms", "5000"],
  },
  {
    name: "the head is kept in memory and stored with the next change (seq outside the transaction)",
    edits: [
      {
        file: `${sqlite}/life/session-columns.ts`,
        find: "/** A session with its place in the file. */\n",
        replace:
          "const heads = new Map<number, number>();\nexport function headBefore(sessionNo: number, headSeq: number): number {\n  const before = heads.get(sessionNo) ?? headSeq;\n  heads.set(sessionNo, headSeq);\n  return before;\n}\n\n",
      },
      {
        file: `${sqlite}/life/session-columns.ts`,
        find: "  return { sessionNo, tenantNo, lastRunNo, row, stored: row };\n",
        replace:
          "  return { sessionNo, tenantNo, lastRunNo, row: { ...row, headSeq: heads.get(sessionNo) ?? headSeq }, stored: row };\n",
      },
      {
        file: `${sqlite}/life/session-rows.ts`,
        find: "import { type StoredSession,",
        replace: "import { headBefore, type StoredSession,",
      },
      {
        file: `${sqlite}/life/session-rows.ts`,
        find: "      row.headSeq,\n      row.oldestSeq,\n",
        replace: "      headBefore(sessionNo, row.headSeq),\n      row.oldestSeq,\n",
      },
      // What stands there under the number is written over.
      {
        file: `${sqlite}/log/event-rows.ts`,
        find: '"INSERT INTO event_rows',
        replace: '"INSERT OR REPLACE INTO event_rows',
      },
    ],
    caughtAs: /^(lost|S1|S2|S5|S6)/,
    flags: ["--kill", "session", "--kill-every-ms", "5000"],
  },
  {
    name: "changes are acknowledged before they are committed",
    edits: [
      {
        file: "services/kernel/store/sqlite/group-commit.ts",
        find: "      this.begin.run();\n",
        replace: "      if (!this.database.isTransaction) this.begin.run();\n",
      },
      {
        file: "services/kernel/store/sqlite/group-commit.ts",
        find: "      this.commit.run();\n",
        replace: "      if (Math.random() < 0.01) this.commit.run();\n",
      },
    ],
    caughtAs: /^(lost|S1|S2|S5|S6|R1)/,
  },
  {
    name: "a slow reader is spared what did not fit (drop when full)",
    edits: [
      {
        file: "services/kernel/stream/tail-log.ts",
        find: "const maxPendingEvents = 256;",
        replace: "const maxPendingEvents = 8;",
      },
      {
        file: "services/kernel/stream/tail-log.ts",
        find: "    if (event.firstSeq > next + 1) break;\n",
        replace: "",
      },
    ],
    caughtAs: /^S1/,
  },
  {
    name: "a reader that comes back begins one too late",
    edits: [
      {
        file: "services/gateway/streams/follow-session.ts",
        find: "const afterSeq = Number(cursor.afterSeq);",
        replace: "const afterSeq = Number(cursor.afterSeq) + (cursor.afterSeq > 5n ? 1 : 0);",
      },
    ],
    caughtAs: /^(S1|S2)/,
  },
  {
    name: "a cancelled run is ended by the service and by its worker",
    edits: [
      {
        file: `${sqlite}/runs/command-run.ts`,
        find: '    case "command": {\n',
        replace:
          '    case "command": {\n      tables.sessions.save(tables.events.append(tables.sessions.get(run.sessionNo), [wish.event(row)], nowMs)[0]);\n',
      },
    ],
    caughtAs: /^R2/,
  },
  {
    name: "whoever takes a run over begins it anew",
    edits: [
      {
        file: "services/agent/loop/run-loop.ts",
        find: "  let last = run.steps.at(-1);\n",
        replace: "  run.steps.splice(0);\n  let last = run.steps.at(-1);\n",
      },
    ],
    caughtAs: /^R4/,
  },
  {
    name: "whoever takes a run over takes half a step for a whole one",
    edits: [
      {
        file: "services/agent/loop/run-loop.ts",
        find: "if (last !== undefined && !last.modelDone) {",
        replace: "if (last !== undefined && !last.modelDone && last.items.length === 0) {",
      },
    ],
    caughtAs: /^(S8|R4)/,
  },
  {
    name: "a tool call in doubt is made again",
    edits: [
      {
        file: "services/toolrouter/calls/call-tool.ts",
        find: 'begun.kind === "open" && found?.entry.tool.repeatable === true',
        replace: 'begun.kind === "open" && found !== undefined',
      },
    ],
    caughtAs: /^T1/,
    flags: ["--kill", "toolrouter", "--kill-every-ms", "1500"],
  },
  {
    name: "merging forgets the last word",
    edits: [
      {
        file: "services/kernel/event/merge-deltas.ts",
        find: "  for (const part of parts) {\n    text.set(",
        replace: "  for (const part of parts.slice(0, -1)) {\n    text.set(",
      },
    ],
    caughtAs: /^(S3|S5|S6)/,
  },
  {
    name: "a message that steers a run is forgotten when the run ends first",
    edits: [
      {
        file: `${sqlite}/runs/end-run.ts`,
        find: "const unread = isAnswering ? leftOver(open) : undefined;",
        replace: "const unread = isAnswering ? leftOver([]) : undefined;",
      },
    ],
    caughtAs: /^lost/,
    flags: ["--modes", "followup,steer,steer,interrupt"],
  },
  {
    name: "nobody takes up what a killed worker left",
    edits: [
      {
        file: `${rules}/judge-lease.ts`,
        find: "return nowMs - lease.sinceMs >= times.reattachGraceMs;",
        replace: "return false;",
      },
    ],
    caughtAs: /^(R2|lost|the clients)/,
  },
];
