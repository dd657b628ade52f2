import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { createWebPage } from "./web-page.ts";

const html = "<!doctype html><title>Atoll</title>";
const script = "console.log('hello');".repeat(100);

async function servePage({ isBuilt = true } = {}) {
  const root = mkdtempSync(join(tmpdir(), "atoll-page-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const folder = join(root, "dist");
  const build = (): void => {
    mkdirSync(join(folder, "assets"), { recursive: true });
    writeFileSync(join(folder, "index.html"), html);
    writeFileSync(join(folder, "assets/index-1a2b.js"), script);
  };
  writeFileSync(join(root, "secret.txt"), "hunter2");
  if (isBuilt) build();
  const server = createServer(createWebPage(folder)).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const get = async (path: string, headers: Record<string, string> = {}, method = "GET") => {
    // Not fetch: it would tidy the path up.
    const request = httpRequest({ port, path, method, headers, agent: false });
    request.end();
    const [response] = await once(request, "response");
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return {
      status: response.statusCode as number,
      headers: response.headers as Record<string, string>,
      body: Buffer.concat(chunks),
    };
  };
  return { get, build };
}

describe("the web page", () => {
  it("is served for its own routes, and for nothing that it does not have", async () => {
    const { get } = await servePage();
    for (const path of ["/", "/index.html", "/s/ses_01ABC", "/?x=1", "/s/ses_1?x#y"]) {
      expect(await get(path)).toMatchObject({ status: 200, body: Buffer.from(html) });
    }
    for (const path of ["/nothing", "/s/", "/s/a/b", "/assets", "/assets/", "/__proto__", "/constructor"]) {
      expect((await get(path)).status, path).toBe(404);
    }
  });

  it.each([
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/..\\secret.txt",
    "//secret.txt",
    "/assets/..%00/secret.txt",
    "/s/../../secret.txt",
  ])("leaves its folder by no path: %s", async (path) => {
    const { get } = await servePage();
    const { status, body } = await get(path);
    expect(status).toBe(404);
    expect(body.toString()).not.toContain("hunter2");
  });

  it("runs no script and shows no frame but its own, on errors as well", async () => {
    const { get } = await servePage();
    for (const path of ["/", "/nothing"]) {
      const { headers } = await get(path);
      const policy = headers["content-security-policy"] ?? "";
      for (const directive of [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob:",
        "frame-ancestors 'none'",
      ]) {
        expect(policy.split("; ")).toContain(directive);
      }
      expect(policy).not.toMatch(/unsafe|\*|data:/);
      expect(headers["x-content-type-options"]).toBe("nosniff");
    }
    expect((await get("/")).headers["referrer-policy"]).toBe("no-referrer");
  });

  it("keeps hashed files for ever and asks again for the page", async () => {
    const { get } = await servePage();
    expect((await get("/assets/index-1a2b.js")).headers["cache-control"]).toContain("immutable");
    expect((await get("/")).headers["cache-control"]).toBe("no-cache");
    const { etag = "" } = (await get("/")).headers;
    const again = await get("/", { "if-none-match": etag });
    expect([again.status, again.body.length, again.headers["etag"]]).toEqual([304, 0, etag]);
    expect((await get("/", { "if-none-match": '"other"' })).status).toBe(200);
  });

  it("is zipped for who takes that", async () => {
    const { get } = await servePage();
    const zipped = await get("/assets/index-1a2b.js", { "accept-encoding": "br, gzip" });
    expect(zipped.headers).toMatchObject({
      "content-encoding": "gzip",
      vary: "accept-encoding",
      "content-type": expect.stringMatching(/javascript/),
    });
    expect(gunzipSync(zipped.body).toString()).toBe(script);
    expect(zipped.body.length).toBeLessThan(script.length);
    const plain = await get("/assets/index-1a2b.js", { "accept-encoding": "br" });
    expect([plain.headers["content-encoding"], plain.body.toString()]).toEqual([undefined, script]);
  });

  it("answers HEAD with the headers alone, and no other method", async () => {
    const { get } = await servePage();
    const { status, headers, body } = await get("/", {}, "HEAD");
    expect([status, headers["content-length"], body.length]).toEqual([200, String(html.length), 0]);
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) expect((await get("/", {}, method)).status).toBe(405);
  });

  it("says how to build it while it is not built, and is there when it was", async () => {
    const { get, build } = await servePage({ isBuilt: false });
    const missing = await get("/");
    expect(missing.status).toBe(503);
    expect(missing.body.toString()).toContain("npm run build:web");
    build();
    expect((await get("/")).status).toBe(200);
  });
});
