import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { StoreUnavailable } from "../store-errors.ts";
import { openDiskBlobStore } from "./disk-blob-store.ts";

const scope = { tenant: "local", principal: "user:local" };
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atoll-blobs-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("blobs on disk", () => {
  it("are files named by tenant and hash, for their owner alone, with nothing left beside them", async () => {
    const { sha256 } = await openDiskBlobStore(folder, Date.now).put(scope, Uint8Array.of(1));
    const path = join(folder, "blobs", "local", sha256.slice(0, 2), sha256);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, "blobs", ".incoming"))).toEqual([]);
  });

  it(`notices that a blob was changed, and putting it again repairs it ${verifies("L9")}`, async () => {
    const blobs = openDiskBlobStore(folder, Date.now);
    const { sha256 } = await blobs.put(scope, Uint8Array.of(1));
    writeFileSync(join(folder, "blobs", "local", sha256.slice(0, 2), sha256), "changed");
    await expect(blobs.get(scope, sha256)).rejects.toMatchObject({ problem: "corrupt" });
    await blobs.put(scope, Uint8Array.of(1));
    expect(await blobs.get(scope, sha256)).toEqual(Buffer.of(1));
  });

  it("keeps half-written files of other processes until they are an hour old", () => {
    const incoming = join(folder, "blobs", ".incoming");
    mkdirSync(incoming, { recursive: true });
    for (const name of ["old", "young"]) {
      writeFileSync(join(incoming, name), "half");
    }
    const now = Date.now();
    utimesSync(join(incoming, "old"), now / 1000 - 3_700, now / 1000 - 3_700);
    openDiskBlobStore(folder, () => now);
    expect(readdirSync(incoming)).toEqual(["young"]);
  });

  it("leaves no file behind when one can't be stored", async () => {
    const blobs = openDiskBlobStore(folder, Date.now);
    // A file stands where the tenant's folder should be.
    writeFileSync(join(folder, "blobs", "local"), "");
    await expect(blobs.put(scope, Uint8Array.of(1))).rejects.toThrow(StoreUnavailable);
    expect(readdirSync(join(folder, "blobs", ".incoming"))).toEqual([]);
    rmSync(join(folder, "blobs", "local"));
    expect((await blobs.put(scope, Uint8Array.of(1))).size).toBe(1);
  });

  it("refuses to open where it can't write", () => {
    writeFileSync(join(folder, "file"), "");
    expect(() => openDiskBlobStore(join(folder, "file"), Date.now)).toThrow(StoreUnavailable);
  });

  it("refuses a tenant without a name or with too long a one", async () => {
    const blobs = openDiskBlobStore(folder, Date.now);
    await expect(blobs.put({ ...scope, tenant: "" }, Uint8Array.of(1))).rejects.toThrow(RangeError);
    await expect(blobs.put({ ...scope, tenant: "\u{10ffff}".repeat(64) }, Uint8Array.of(1))).rejects.toThrow(
      RangeError,
    );
  });
});
