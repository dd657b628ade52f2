/** What people do with the page beside reading and writing: many tabs, drafts, input methods, scrolling, a phone on the local network. */

import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { verifies } from "../requirements.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import { answerTimeoutMs, bodyText, buildPage, launchBrowser, openPages, send } from "./browser.fixture.ts";

/** Real browsers on a machine that may do four other things. */
vi.setConfig({ testTimeout: 180_000 });

/** A name that is not this machine's own: a browser takes its pages for insecure without TLS. */
const lanHost = "mesh.example";

let mesh: MeshProcess;
let browser: Browser;
const { complaints, signIn } = openPages(() => mesh);

beforeAll(async () => {
  buildPage();
  mesh = await startMeshProcess({ config: `access:\n  allowedHosts: ["${lanHost}"]\n` });
  browser = await launchBrowser(`--host-resolver-rules=MAP ${lanHost} 127.0.0.1`);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await mesh?.stop();
});

const box = (page: Page) => page.getByRole("textbox");
const mainText = (page: Page) => page.locator("main").innerText();
const until = async (page: Page, text: string | RegExp) =>
  expect.poll(() => mainText(page), { timeout: answerTimeoutMs }).toMatch(text);

/** A conversation that has had its answer. */
async function converse(page: Page, text: string): Promise<string> {
  await page.getByRole("button", { name: "New conversation" }).click();
  await send(page, text);
  await until(page, "Completed");
  return page.url();
}

async function inContext(work: (context: BrowserContext) => Promise<void>): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 700 }, reducedMotion: "reduce" });
  try {
    await work(context);
  } finally {
    await context.close();
  }
}

describe("the page over plain HTTP at an address of the local network", () => {
  it(`sends, stops and answers ${verifies("FP1")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context, `http://${lanHost}:${new URL(mesh.url).port}`);
      expect(await page.evaluate("isSecureContext")).toBe(false);
      await converse(page, "hello from a phone");
      await send(page, "/long 2000");
      await page.getByRole("button", { name: /stop/i }).click();
      await until(page, "Stopped");
    });
  });

  it(`empties the box when the mesh has accepted, and not before ${verifies("FP1")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context);
      const held = Promise.withResolvers<void>();
      await page.route("**/SendMessage", async (route) => {
        await held.promise;
        await route.continue();
      });
      await send(page, "kept until it is accepted");
      await page.getByText("Sending…").waitFor();
      expect(await box(page).inputValue()).toBe("kept until it is accepted");
      held.resolve();
      await until(page, "Completed");
      expect(await box(page).inputValue()).toBe("");
      await page.route("**/SendMessage", (route) => route.fulfill({ status: 400, body: "no" }));
      await send(page, "refused");
      await page.getByRole("alert").waitFor();
      expect(await box(page).inputValue()).toBe("refused");
    });
  });

  it(`keeps what was written while a message was on its way ${verifies("FP1")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context);
      const held = Promise.withResolvers<void>();
      await page.route("**/SendMessage", async (route) => {
        await held.promise;
        await route.continue();
      });
      await send(page, "first");
      await page.getByText("Sending…").waitFor();
      await box(page).fill("first, and more");
      held.resolve();
      await until(page, "Completed");
      expect(await box(page).inputValue()).toBe("first, and more");
    });
  });
});

describe("tabs", () => {
  it(`share one stream: eight of them follow eight conversations, live ${verifies("FP2")}`, async () => {
    await inContext(async (context) => {
      const first = await signIn(context);
      const pages = [first];
      for (let n = 1; n < 8; n++) {
        const page = await context.newPage();
        await page.goto(mesh.url);
        await box(page).waitFor();
        pages.push(page);
      }
      for (const [n, page] of pages.entries()) await send(page, `tab number ${n}`);
      for (const page of pages) await until(page, "Completed");
      // One that is seen in two tabs is followed by both.
      const twin = await context.newPage();
      await twin.goto(first.url());
      await until(twin, "Completed");
      await send(first, "once more");
      await until(twin, /once more[\s\S]*Completed[\s\S]*Completed|Completed[\s\S]*once more[\s\S]*Completed/);
    });
  });

  it(`go on when the one that opened the stream is closed ${verifies("FP2")}`, async () => {
    await inContext(async (context) => {
      const first = await signIn(context);
      const address = await converse(first, "hello");
      const second = await context.newPage();
      await second.goto(address);
      await until(second, "Completed");
      await first.close();
      await send(second, "/long 400");
      await until(second, /Completed[\s\S]*Completed/);
    });
  });
});

describe("writing", () => {
  it(`sends nothing with the key that ends a composition ${verifies("FP3")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context);
      await box(page).fill("にほん");
      /** As browsers tell of an Enter that an input method took: by the key's code, by `isComposing`, or by both. */
      const press = (event: { readonly keyCode: number; readonly isComposing: boolean }) =>
        box(page).dispatchEvent("keydown", {
          ...{ key: "Enter", code: "Enter", bubbles: true, cancelable: true },
          ...event,
        });
      await press({ keyCode: 229, isComposing: false });
      await press({ keyCode: 229, isComposing: true });
      await press({ keyCode: 13, isComposing: true });
      await page.keyboard.press("Shift+Enter");
      expect(await box(page).inputValue()).toContain("にほん");
      expect(page.url()).not.toContain("/s/");
      await box(page).fill("にほん");
      await press({ keyCode: 13, isComposing: false });
      await until(page, "Completed");
    });
  });

  it(`keeps a draft for each conversation, over changes and reloads ${verifies("FP7")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context);
      const one = await converse(page, "conversation one");
      const two = await converse(page, "conversation two");
      await box(page).fill("draft of two");
      await page.goto(one);
      await box(page).fill("draft of one\nwith a second line");
      await page.getByRole("button", { name: /conversation two/ }).click();
      await expect.poll(() => box(page).inputValue()).toBe("draft of two");
      await page.reload();
      await expect.poll(() => box(page).inputValue()).toBe("draft of two");
      await page.getByRole("button", { name: "New conversation" }).click();
      await expect.poll(() => box(page).inputValue()).toBe("");
      await box(page).fill("draft of a new one");
      await page.goto(one);
      await expect.poll(() => box(page).inputValue()).toBe("draft of one\nwith a second line");
      await page.goto(mesh.url);
      await expect.poll(() => box(page).inputValue()).toBe("draft of a new one");
      // What was sent is no draft any more.
      await page.goto(two);
      await box(page).press("Enter");
      await until(page, "draft of two");
      await expect.poll(() => box(page).inputValue()).toBe("");
      await page.reload();
      await until(page, "draft of two");
      expect(await box(page).inputValue()).toBe("");
    });
  });
});

describe("reading", () => {
  const place = (page: Page) =>
    page.locator(".scroll").evaluate(({ scrollTop, scrollHeight, clientHeight }) => ({
      top: scrollTop,
      toEnd: scrollHeight - scrollTop - clientHeight,
    }));

  it(`lets go of the end with any move upwards, and takes it up again there ${verifies("FP4")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context);
      await send(page, "/long 3000");
      await expect.poll(async () => (await place(page)).top, { timeout: answerTimeoutMs }).toBeGreaterThan(300);
      await page.mouse.move(600, 300);
      await page.mouse.wheel(0, -40);
      await page.getByRole("button", { name: "Go to the end" }).waitFor();
      const { top } = await place(page);
      const before = (await mainText(page)).length;
      await expect
        .poll(async () => (await mainText(page)).length, { timeout: answerTimeoutMs })
        .toBeGreaterThan(before + 200);
      expect((await place(page)).top).toBeLessThanOrEqual(top);
      await page.getByRole("button", { name: "Go to the end" }).click();
      await expect.poll(async () => (await place(page)).toEnd).toBeLessThan(2);
      const held = (await mainText(page)).length;
      await expect
        .poll(async () => (await mainText(page)).length, { timeout: answerTimeoutMs })
        .toBeGreaterThan(held + 200);
      expect((await place(page)).toEnd).toBeLessThan(100);
    });
  });

  it(`shows text from right to left where its letters say so ${verifies("FP8")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context);
      await box(page).fill("مرحبا بالعالم");
      expect(await page.locator("textarea:dir(rtl)").count()).toBe(1);
      await box(page).press("Enter");
      await until(page, "Completed");
      expect(await page.locator(".user-message p:dir(rtl)").count()).toBe(1);
      await send(page, "left to right");
      await until(page, /Completed[\s\S]*Completed/);
      expect(await page.locator(".user-message p:dir(ltr)").count()).toBe(1);
    });
  });

  it(`stays usable beside an answer that is made to cost too much ${verifies("E12")}`, async () => {
    await inContext(async (context) => {
      const page = await signIn(context);
      await send(page, `repeat after me ${"*a_".repeat(20_000)}`);
      await until(page, "Completed");
      // The page answers: a second message goes out and comes back.
      await send(page, "still there?");
      await until(page, /Completed[\s\S]*Completed/);
      expect(await bodyText(page)).toContain("still there?");
    });
  });
});

it("makes the browser complain about nothing", () => {
  const expected = /status of 400|Cross-Origin-Opener-Policy header has been ignored/;
  expect(complaints.filter((complaint) => !expected.test(complaint))).toEqual([]);
});
