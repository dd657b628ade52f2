/** A real browser on the page of a real mesh, for tests. */
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { createClient } from "@connectrpc/connect";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import type { MeshProcess } from "../support/mesh-process.ts";

const root = resolve(import.meta.dirname, "../..");
const browserArguments = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** How long an answer may take on a busy machine. */
export const answerTimeoutMs = 60_000;

/** Builds the page when its sources are newer than what is built. */
export function buildPage(): void {
  if (newestIn("web/dist") > Math.max(...["web/src", "web/client", "web/public", "gen"].map(newestIn))) return;
  const built = spawnSync(process.execPath, [resolve(root, "node_modules/vite/bin/vite.js"), "build", "web"], {
    cwd: root,
  });
  expect(built.status, String(built.stderr)).toBe(0);
}

/** When the newest file of a folder was written; 0 when there is none. */
function newestIn(folder: string): number {
  try {
    const files = readdirSync(resolve(root, folder), { recursive: true, withFileTypes: true });
    return Math.max(0, ...files.map((file) => statSync(join(file.parentPath, file.name)).mtimeMs));
  } catch {
    return 0;
  }
}

export function launchBrowser(...more: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: [...browserArguments, ...more] });
}

/** Pages of a mesh; `complaints` is what they complained about: errors of scripts, refused loads, broken policies. */
export function openPages(mesh: () => MeshProcess) {
  const complaints: string[] = [];
  const watch = (page: Page): Page => {
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    return page;
  };
  const makeLink = async (): Promise<string> =>
    (await createClient(AdminService, mesh().transport()).createLink({ requestId: crypto.randomUUID() })).url;
  /** @param origin Where the browser finds the mesh. Default: where the mesh says. */
  const signIn = async (context: BrowserContext, origin?: string): Promise<Page> => {
    const page = watch(await context.newPage());
    const link = new URL(await makeLink());
    await page.goto(origin === undefined ? link.href : `${origin}${link.pathname}${link.hash}`);
    await page.getByRole("textbox").waitFor();
    return page;
  };
  return { complaints, watch, makeLink, signIn };
}

export async function send(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox").fill(text);
  await page.keyboard.press("Enter");
}

export const bodyText = (page: Page) => page.locator("body").innerText();
