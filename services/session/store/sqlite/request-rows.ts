/**
 * Keeps R1: the answer of a call that must happen once is stored in the transaction of its change, under
 * (tenant, principal, method, request id), and returned again for the same body.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { judgeRequest } from "../../rules/judge-request.ts";
import type { Answered, Request } from "../request.ts";

/** How many answers one sweep transaction removes, so that it never holds the event loop for long. */
const maxSweptAtOnce = 5_000;

interface RequestRow {
  readonly digest: string;
  readonly answer: Uint8Array;
}

export class RequestRows {
  private readonly select: StatementSync;
  private readonly insert: StatementSync;
  private readonly selectFirstKept: StatementSync;
  private readonly deleteOldest: StatementSync;

  constructor(database: DatabaseSync) {
    const key = "tenant_no = ? AND principal = ? AND method = ? AND request_id = ?";
    this.select = database.prepare(`SELECT digest, answer FROM requests WHERE ${key}`);
    this.insert = database.prepare(`INSERT INTO requests
      (tenant_no, principal, method, request_id, digest, answer, answered_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`);
    // Among those that a sweep may remove: behind them may be many more that are old.
    this.selectFirstKept = database.prepare(`SELECT no FROM (
        SELECT request_no AS no, answered_at_ms FROM requests ORDER BY request_no LIMIT ?)
      WHERE answered_at_ms >= ? ORDER BY no LIMIT 1`);
    this.deleteOldest = database.prepare(
      "DELETE FROM requests WHERE request_no IN (SELECT request_no FROM requests WHERE request_no < ? ORDER BY request_no LIMIT ?)",
    );
  }

  /** The stored answer, or a refusal; undefined for a request that is new. */
  replay<Outcome>(tenantNo: number, principal: string, request: Request<Outcome>): Answered<never> | undefined {
    const found = this.select.get(tenantNo, principal, request.method, request.requestId) as RequestRow | undefined;
    const kind = judgeRequest(found, request.digest);
    if (found === undefined || kind === "new") {
      return undefined;
    }
    return kind === "replayed" ? { kind, answer: found.answer } : { kind };
  }

  /** Encodes and stores the answer. */
  store<Outcome>(
    tenantNo: number,
    principal: string,
    request: Request<Outcome>,
    outcome: Outcome,
    nowMs: number,
  ): Answered<Outcome> {
    const answer = request.answer(outcome);
    this.insert.run(tenantNo, principal, request.method, request.requestId, request.digest, answer, nowMs);
    return { kind: "done", answer, outcome };
  }

  /** Removes some of the answers older than `beforeMs`; `more` when others may be left. */
  sweep(beforeMs: number): { readonly removed: number; readonly more: boolean } {
    const firstKept = Number(this.selectFirstKept.get(maxSweptAtOnce, beforeMs)?.no ?? Number.MAX_SAFE_INTEGER);
    const removed = Number(this.deleteOldest.run(firstKept, maxSweptAtOnce).changes);
    return { removed, more: removed === maxSweptAtOnce };
  }
}
