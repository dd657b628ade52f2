/**
 * Serves the web page: the files that the build made, and nothing else.
 *
 * Keeps the threat "agent output as HTML": no inline script or style, no other origin, no frame. A path is looked up in the
 * list of files that were read, so that no path can leave the folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import type { EdgeRequest, EdgeResponse } from "../kernel/rpc/edge/edge.ts";
import { readPublicAddress } from "../kernel/rpc/edge/public-address.ts";

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const mediaTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".json": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".txt": "text/plain; charset=utf-8",
};

interface PageFile {
  readonly body: Buffer;
  readonly zipped: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * @param folder What the build made; when it is missing, every answer says how to build it.
 * @param publicUrl Where people reach the page; its path stands before the addresses of all files.
 */
export function createWebPage(
  folder: string,
  publicUrl?: string,
): (request: EdgeRequest, response: EdgeResponse) => void {
  const prefix = publicUrl === undefined ? "" : readPublicAddress(publicUrl).prefix;
  let files: ReadonlyMap<string, PageFile> | undefined;
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return answerText(response, 405, "Only GET and HEAD.");
    files ??= readFiles(folder, prefix);
    if (files.size === 0) {
      files = undefined;
      return answerText(response, 503, "The web page is not built: run `npm run build:web`.");
    }
    const path = (request.url ?? "/").split(/[?#]/, 1)[0] ?? "/";
    const isRoute = path === "/" || /^\/s\/[\w-]+$/.test(path);
    const file = files.get(isRoute ? "/index.html" : path);
    if (file === undefined) return answerText(response, 404, "There is nothing here.");
    const { headers, body, zipped } = file;
    if (request.headers["if-none-match"] === headers["etag"]) {
      response.writeHead(304, headers);
      response.end();
      return;
    }
    const isZipped = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
    const content = isZipped ? zipped : body;
    response.writeHead(200, {
      ...headers,
      "content-length": content.length,
      ...(isZipped ? { "content-encoding": "gzip" } : {}),
    });
    response.end(request.method === "HEAD" ? undefined : content);
  };
}

function readFiles(folder: string, prefix: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  let entries: ReturnType<typeof readEntries>;
  try {
    entries = readEntries(folder);
  } catch {
    // Missing: the caller says how to build it.
    return files;
  }
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, file).split(sep).join("/")}`;
    const body = path === "/index.html" ? withPrefix(readFileSync(file), prefix) : readFileSync(file);
    files.set(path, { body, zipped: gzipSync(body), headers: headersOf(path, body) });
  }
  return files;
}

/** The page itself stands at `/` and at `/s/…`, so that no relative address of a file holds at both. */
function withPrefix(page: Buffer, prefix: string): Buffer {
  if (prefix === "") return page;
  const text = page.toString("utf8").replaceAll(/\b(src|href)="\/(?!\/)/g, (_, name) => `${name}="${prefix}/`);
  return Buffer.from(text);
}

function readEntries(folder: string) {
  return readdirSync(folder, { recursive: true, withFileTypes: true });
}

function headersOf(path: string, body: Buffer): Readonly<Record<string, string>> {
  // The build names what it hashes: such a file never changes.
  const isHashed = path.startsWith("/assets/");
  return {
    "content-type": mediaTypes[extname(path)] ?? "application/octet-stream",
    "content-security-policy": contentSecurityPolicy,
    "cache-control": isHashed ? "public, max-age=31536000, immutable" : "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    vary: "accept-encoding",
    etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`,
  };
}

function answerText(response: EdgeResponse, status: number, text: string): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "content-security-policy": contentSecurityPolicy,
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
  });
  response.end(`${text}\n`);
}
