import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { request } from "../../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../../test/requirements.ts";
import { RequestRows } from "./request-rows.ts";
import { sessionMigrations } from "./session-schema.ts";

let database: DatabaseSync;
beforeEach(() => {
  database = new DatabaseSync(":memory:");
  for (const sql of sessionMigrations) database.exec(sql);
});
afterEach(() => database.close());

/** As many answers at each of the times, in this order. */
function store(rows: RequestRows, count: number, timesMs: readonly number[]): void {
  database.exec("BEGIN");
  for (const timeMs of timesMs)
    for (let i = 0; i < count; i++)
      rows.store(
        1,
        "user:local",
        request(() => ""),
        undefined,
        timeMs,
      );
  database.exec("COMMIT");
}

describe(`sweeping answers ${verifies("R1", "L7")}`, () => {
  it("removes what is old, some at a time, and nothing else", () => {
    const rows = new RequestRows(database);
    store(rows, 6_000, [1, 5, 9]);
    expect([1, 2, 3, 4].map(() => rows.sweep(6))).toEqual([
      { removed: 5_000, more: true },
      { removed: 5_000, more: true },
      { removed: 2_000, more: false },
      { removed: 0, more: false },
    ]);
    expect(database.prepare("SELECT DISTINCT answered_at_ms AS timeMs FROM requests").all()).toEqual([{ timeMs: 9 }]);
    expect(rows.sweep(10)).toEqual({ removed: 5_000, more: true });
  });

  it("looks at no more of them than one sweep may remove", () => {
    store(new RequestRows(database), 6_000, [1, 5]);
    let looked = 0;
    database.function("looked_at", (timeMs) => {
      looked += 1;
      return timeMs;
    });
    // Stands before the table, and counts how often a time is asked for: also once by the trigger for each that is removed.
    database.exec(`
      CREATE TEMP VIEW requests AS SELECT request_no, tenant_no, principal, method, request_id, digest, answer,
        looked_at(answered_at_ms) AS answered_at_ms FROM main.requests;
      CREATE TEMP TRIGGER store INSTEAD OF INSERT ON requests BEGIN SELECT 1; END;
      CREATE TEMP TRIGGER sweep INSTEAD OF DELETE ON requests BEGIN
        DELETE FROM main.requests WHERE request_no = old.request_no; END;`);
    new RequestRows(database).sweep(6);
    expect(database.prepare("SELECT count(*) AS count FROM main.requests").get()).toEqual({ count: 7_000 });
    expect(looked).toBeLessThanOrEqual(10_000);
  });
});
