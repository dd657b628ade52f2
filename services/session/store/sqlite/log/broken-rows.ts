/**
 * Remembers which rows of logs SQLite found broken (SQLITE_CORRUPT), so that none is read a second time.
 *
 * Keeps: one log holds up no other. SQLite commits no transaction in which it met a broken page, so a change that goes on
 * behind damage has to know of it before it reads. Rows are known until the file is closed. Keeps L7: so many and no more.
 */
const maxRows = 65_536;

export class BrokenRows {
  private readonly seqsByLog = new Map<string, number[]>();
  private rows = 0;

  /** How many are known. */
  get size(): number {
    return this.rows;
  }

  /** `seq` is where reading ended: the row that holds it is broken. */
  add(logId: string, seq: number): void {
    const seqs = this.seqsByLog.get(logId) ?? [];
    if (this.rows >= maxRows || seqs.includes(seq)) return;
    seqs.push(seq);
    this.seqsByLog.set(logId, seqs);
    this.rows += 1;
  }

  /** The first seq from `fromSeq` on at which a log is broken; undefined when none is known. */
  findFrom(logId: string, fromSeq: number): number | undefined {
    const seqs = this.seqsByLog.get(logId)?.filter((seq) => seq >= fromSeq);
    return seqs === undefined || seqs.length === 0 ? undefined : Math.min(...seqs);
  }
}
