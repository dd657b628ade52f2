// Makes gen/ anew from proto/: `npm run generate`. Code is generated beside gen/ and moved in only when all of it
// succeeded, so that a contract with a mistake leaves the last good code in place.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vendorProtos } from "./vendor-protos.ts";

const repository = join(import.meta.dirname, "..");

/** Runs `use` with a temporary folder that is removed afterwards, whatever happens. */
export function withTemporaryFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "atoll-generate-"));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Generates code for the contracts of proto/ and gen/proto into `<folder>/gen`. Throws with buf's own words. */
export function generateCode(folder: string): void {
  const buf = join(repository, "node_modules/.bin/buf");
  const { status, stdout, stderr, error } = spawnSync(buf, ["generate", "--output", folder], {
    cwd: repository,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`buf generate failed:\n${stdout}${stderr}`);
}

function replaceCode(gen: string): void {
  vendorProtos(join(gen, "proto"));
  withTemporaryFolder((folder) => {
    generateCode(folder);
    for (const entry of readdirSync(gen)) {
      if (entry !== "proto") rmSync(join(gen, entry), { recursive: true });
    }
    cpSync(join(folder, "gen"), gen, { recursive: true });
  });
}

if (import.meta.main) replaceCode(join(repository, "gen"));
