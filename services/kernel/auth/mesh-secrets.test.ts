import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { systemClock } from "../clock.ts";
import { manualClock } from "../manual-clock.fixture.ts";
import { localTokenFile, openMeshSecrets, openPeerSecrets } from "./mesh-secrets.ts";
import { createSignedTokens, createTokenVerifier } from "./signed-tokens.ts";

function dataDir(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "atoll-secrets-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const files = ["mesh.key", "mesh.pub", "token", "worker.token"];

const openInProcess = `
  const { openMeshSecrets } = await import(process.argv[1]);
  while (Date.now() < Number(process.argv[3]));
  const { signingKey, localToken } = openMeshSecrets(process.argv[2]);
  process.stdout.write(Buffer.from(signingKey).toString("hex") + " " + localToken);
`;

describe("the secrets of a mesh", () => {
  it("are made with the first start and read by the next", () => {
    const folder = dataDir();
    const made = openMeshSecrets(folder);
    expect(made.signingKey).toHaveLength(32);
    expect(made.localToken).toMatch(/^atl_[\w-]{43}$/);
    expect(openMeshSecrets(folder)).toEqual(made);
    expect(readFileSync(localTokenFile(folder), "utf8").trim()).toBe(made.localToken);
    expect(openMeshSecrets(dataDir()).localToken).not.toBe(made.localToken);
  });

  it("are readable by their owner alone, whatever the umask, and leave nothing else behind", () => {
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
    const folder = dataDir();
    openMeshSecrets(folder);
    expect(readdirSync(folder).sort()).toEqual(files);
    for (const name of readdirSync(folder)) expect(statSync(path.join(folder, name)).mode & 0o777).toBe(0o600);
  });

  it("are closed again when somebody opened them to others", () => {
    const folder = dataDir();
    openMeshSecrets(folder);
    for (const name of ["mesh.key", "token", "worker.token"]) chmodSync(path.join(folder, name), 0o644);
    openMeshSecrets(folder);
    for (const name of ["mesh.key", "token", "worker.token"])
      expect(statSync(path.join(folder, name)).mode & 0o777).toBe(0o600);
  });

  it("are the same for several processes that start at once", async () => {
    const folder = dataDir();
    const startAtMs = String(Date.now() + 1_500);
    const module = path.join(import.meta.dirname, "mesh-secrets.ts");
    const run = () =>
      promisify(execFile)(process.execPath, ["--input-type=module", "-e", openInProcess, module, folder, startAtMs]);
    const seen = await Promise.all(Array.from({ length: 6 }, run));
    const { signingKey, localToken } = openMeshSecrets(folder);
    const expected = `${Buffer.from(signingKey).toString("hex")} ${localToken}`;
    expect(seen.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 6 }, () => expected));
    expect(readdirSync(folder).sort()).toEqual(files);
  });

  it.each([
    ["mesh.key", ""],
    ["mesh.key", "short\n"],
    ["mesh.key", `${"!".repeat(60)}\n`],
    ["mesh.key", `${"a".repeat(80)}\n`],
    ["token", ""],
    ["token", `${"a".repeat(47)}\n`],
    ["worker.token", `atl_${"a".repeat(43)}\n`],
    ["token", `atl_${"a".repeat(43)}\natl_${"b".repeat(43)}\n`],
  ])("stop the start when %s is damaged (%j), and say what to do", (name, content) => {
    const folder = dataDir();
    openMeshSecrets(folder);
    writeFileSync(path.join(folder, name), content);
    expect(() => openMeshSecrets(folder)).toThrow(new RegExp(`${name} is damaged: remove it`));
  });
});

describe(`what a process holds that signs nothing ${verifies("E22")}`, () => {
  it("is the public key and the worker's token: two files that another machine can be given", async () => {
    const folder = dataDir();
    const made = openMeshSecrets(folder);
    const elsewhere = dataDir();
    for (const name of ["mesh.pub", "worker.token"]) {
      writeFileSync(path.join(elsewhere, name), readFileSync(path.join(folder, name)));
    }
    const { publicKey, workerToken } = await openPeerSecrets(elsewhere, systemClock);
    expect(workerToken).toBe(made.workerToken);
    expect(publicKey.type).toBe("public");
    expect(readdirSync(elsewhere).sort()).toEqual(["mesh.pub", "worker.token"]);
    const person = { tenant: "local", name: "user:ada", scopes: new Set<never>(), origin: undefined, run: undefined };
    const token = await createSignedTokens(made.signingKey, systemClock).sign("hop", person);
    expect(await createTokenVerifier(publicKey, systemClock).verify(token, ["hop"])).toEqual(person);
  });

  it("is waited for while the first process of a new folder makes it, and missed by name when it does not come", async () => {
    const folder = dataDir();
    const soon = openPeerSecrets(folder, systemClock);
    const made = openMeshSecrets(folder);
    expect((await soon).workerToken).toBe(made.workerToken);
    const clock = manualClock();
    const never = openPeerSecrets(dataDir(), clock);
    const refused = expect(never).rejects.toThrow(/no mesh.pub and worker.token: start the session service/);
    clock.advance(10_000);
    await refused;
  });

  it("follows from a key that an earlier version made, and is written anew when it does not fit", () => {
    const folder = dataDir();
    writeFileSync(path.join(folder, "mesh.key"), `${Buffer.alloc(32, 7).toString("base64url")}\n`);
    openMeshSecrets(folder);
    const published = readFileSync(path.join(folder, "mesh.pub"), "utf8");
    expect(published).toMatch(/^[\w-]{43}\n$/);
    writeFileSync(path.join(folder, "mesh.pub"), "something else\n");
    openMeshSecrets(folder);
    expect(readFileSync(path.join(folder, "mesh.pub"), "utf8")).toBe(published);
  });
});
