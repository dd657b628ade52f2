// The contract of BlobStore, for every driver.
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BlobStore } from "../../services/kernel/store/blob-store.ts";
import { verifies } from "../requirements.ts";

/** `folder` is empty at first and names the same store when it is opened again. */
export interface BlobStoreDriver {
  readonly open: (folder: string, nowMs: () => number) => Promise<BlobStore>;
}

const scope = { tenant: "local", principal: "user:local" };

export function blobStoreSuite(name: string, driver: BlobStoreDriver): void {
  describe(`${name} ${verifies("L2")}`, () => {
    let folder = "";
    let blobs: BlobStore;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "atoll-blobs-"));
      blobs = await driver.open(folder, Date.now);
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it("gives back what was put, by the hash of its bytes, also after a restart", async () => {
      for (const bytes of [new Uint8Array(), Uint8Array.of(1, 2, 3), randomBytes(300_000)]) {
        const stored = await blobs.put(scope, bytes);
        expect(stored).toEqual({ sha256: createHash("sha256").update(bytes).digest("hex"), size: bytes.length });
        const reopened = await driver.open(folder, Date.now);
        expect(Buffer.from((await reopened.get(scope, stored.sha256)) ?? "missing").equals(bytes)).toBe(true);
      }
    });

    it("stores the same bytes once, however many put them at the same time", async () => {
      const bytes = randomBytes(10_000);
      const stored = await Promise.all(Array.from({ length: 8 }, () => blobs.put(scope, bytes)));
      expect(new Set(stored.map(({ sha256 }) => sha256)).size).toBe(1);
      expect(Buffer.from((await blobs.get(scope, stored[0]?.sha256 ?? "")) ?? "missing").equals(bytes)).toBe(true);
    });

    it("does not find what was not put", async () => {
      expect(await blobs.get(scope, "0".repeat(64))).toBeUndefined();
    });

    it("does not let a hash name anything but a blob", async () => {
      await blobs.put(scope, Uint8Array.of(1));
      for (const hash of ["", "../../secret", `${"0".repeat(63)}/`, "A".repeat(64), `${"0".repeat(64)}\0`]) {
        expect(await blobs.get(scope, hash)).toBeUndefined();
      }
    });

    it.each(["other", "Local", "../local", "local/", ".", "..", "local.", "l\u00f6cal", "%6cocal", "local\0"])(
      "shows the tenant %j nothing of another",
      async (tenant) => {
        const { sha256 } = await blobs.put(scope, Uint8Array.of(1, 2));
        const theirs = { ...scope, tenant };
        expect(await blobs.get(theirs, sha256)).toBeUndefined();
        await blobs.put(theirs, Uint8Array.of(3));
        expect(await blobs.get(theirs, createHash("sha256").update(Uint8Array.of(3)).digest("hex"))).toEqual(
          Buffer.of(3),
        );
      },
    );
  });
}
