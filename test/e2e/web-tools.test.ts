/** What the page says of tools and their servers: what can be used, what can't, and why. */
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { verifies } from "../requirements.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import { sloppyProgram } from "../support/sloppy-mcp/sloppy-program.ts";
import { answerTimeoutMs, buildPage, launchBrowser, openPages } from "./browser.fixture.ts";

const list = [
  { name: "sail", description: "Sets the sails.\nAnd more.", inputSchema: { type: "object" } },
  { name: "anchor\u202eropdna", inputSchema: { type: "object" } },
  { name: "mutiny", inputSchema: { type: "string" } },
  "not a tool",
];

/** A mesh with a server whose list is odd, one that does not start, and one that is switched off. */
async function startMesh(): Promise<MeshProcess> {
  const { command, args } = sloppyProgram({ "tools/list": [[{ result: { tools: list } }]] });
  const boats = { command, args };
  const missing = { command: "no-such-program" };
  const config = { mcpServers: { filesystem: { disabled: true }, boats, missing } };
  const mesh = await startMeshProcess({ config: JSON.stringify(config) });
  onTestFinished(() => mesh.stop());
  return mesh;
}

describe("the page's tools", () => {
  it(`are listed by server, each that can't be used with its reason ${verifies("FT1", "F1")}`, {
    timeout: 300_000,
  }, async () => {
    buildPage();
    const mesh = await startMesh();
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const { complaints, signIn } = openPages(() => mesh);
    const page = await signIn(await browser.newContext({ viewport: { width: 1000, height: 800 } }));
    await page.getByRole("button", { name: "Tools" }).click();
    const dialog = page.getByRole("dialog", { name: "Tools and their servers" });
    const words = () => dialog.innerText();
    await expect.poll(words, { timeout: answerTimeoutMs }).toContain("boats.sail");
    const shown = await words();
    expect(shown).toContain("Sets the sails.");
    expect(shown).not.toContain("And more.");
    // Hidden characters are shown as what they are.
    expect(shown).toContain("boats.anchor\\u{202e}ropdna");
    expect(shown).toMatch(/boats\.mutiny\s+can't be used\s+\S+/);
    expect(shown).toMatch(/boats \(sloppy\) ready/);
    // It is tried again and again: this may be such a moment.
    expect(shown).toMatch(/missing\s+(not running, will be tried again|starting)[\s\S]*no-such-program/);
    expect(shown).toMatch(/filesystem\s+switched off/);
    const file = process.env["ATOLL_SCREENSHOTS"];
    if (file !== undefined) await page.screenshot({ path: join(file, "tools.png") });
    await dialog.getByRole("button", { name: "Close" }).click();
    await expect.poll(() => dialog.count()).toBe(0);
    expect(complaints).toEqual([]);
  });
});
