/** The page in a real browser, served by a real mesh. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifies } from "../requirements.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import { answerTimeoutMs, bodyText, buildPage, launchBrowser, openPages, send } from "./browser.fixture.ts";

let mesh: MeshProcess;
let browser: Browser;
const { complaints, watch, makeLink, signIn } = openPages(() => mesh);

beforeAll(async () => {
  buildPage();
  mesh = await startMeshProcess({
    workspace: { "notes.md": "# Notes\nBuy a boat.\n", "packing-list.md": "- rope\n- lamp\n" },
  });
  browser = await launchBrowser();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await mesh?.stop();
});

describe("the web page", () => {
  it("signs in with a one-time link and shows an answer with its tool calls as it comes", async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await signIn(context);
    expect(page.url()).not.toContain("code=");
    await send(page, "which files are in the workspace, and what does notes.md say?");
    await expect.poll(() => bodyText(page), { timeout: answerTimeoutMs }).toContain("Buy a boat.");
    const text = await bodyText(page);
    expect(text).toContain("filesystem.list_directory");
    expect(text).toContain("filesystem.read_text_file");
    expect(text).toContain("packing-list.md");
    await context.close();
  });

  it(`shows the whole answer, nothing twice, after a reload in the middle of it ${verifies("S2")}`, async () => {
    const context = await browser.newContext();
    const page = await signIn(context);
    await send(page, "/long 300");
    const words = async () => (await page.locator("main").innerText()).split(/\s+/).length;
    await expect.poll(words, { timeout: answerTimeoutMs }).toBeGreaterThan(60);
    await page.reload();
    await page.getByRole("textbox").waitFor();
    await expect.poll(() => page.locator("main").innerText(), { timeout: answerTimeoutMs }).toContain("Completed");
    const shown = await page.locator("main").innerText();
    const other = await context.newPage();
    await other.goto(page.url());
    await expect.poll(() => other.locator("main").innerText(), { timeout: answerTimeoutMs }).toBe(shown);
    expect(shown.split(/\s+/).length).toBeGreaterThan(300);
    // Once as the conversation's title, once as what was said.
    expect(shown.split("/long 300").length - 1).toBe(2);
    await context.close();
  });

  it("stops a run", async () => {
    const context = await browser.newContext();
    const page = await signIn(context);
    await send(page, "/long 2000");
    const stop = page.getByRole("button", { name: /stop/i });
    await stop.waitFor({ timeout: answerTimeoutMs });
    await stop.click();
    await expect.poll(() => bodyText(page), { timeout: answerTimeoutMs }).toMatch(/stopped|cancelled/i);
    await context.close();
  });

  it("shows hostile answers as text", async () => {
    const context = await browser.newContext();
    const page = await signIn(context);
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    await send(page, `repeat after me ${hostile}`);
    await expect
      .poll(async () => (await bodyText(page)).split("<script>").length, { timeout: answerTimeoutMs })
      .toBeGreaterThan(2);
    expect(await page.title()).not.toMatch(/^[12]$/);
    expect(await page.locator("main img").count()).toBe(0);
    await context.close();
  });

  it("asks for a link without a token, and refuses a link that was used", async () => {
    const link = await makeLink();
    const first = await browser.newContext();
    const page = watch(await first.newPage());
    await page.goto(link);
    await page.getByRole("textbox").waitFor();
    const second = await browser.newContext();
    const other = await second.newPage();
    await other.goto(mesh.url);
    await expect.poll(() => bodyText(other), { timeout: answerTimeoutMs }).toContain("npx --no atoll token --link");
    await other.goto("about:blank");
    await other.goto(link);
    await expect.poll(() => bodyText(other), { timeout: answerTimeoutMs }).toMatch(/used|expired|new one/i);
    expect(await other.getByRole("textbox").count()).toBe(0);
    await first.close();
    await second.close();
  });

  it("makes the browser complain about nothing", () => {
    expect(complaints).toEqual([]);
  });
});
