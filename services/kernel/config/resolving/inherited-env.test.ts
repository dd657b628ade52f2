import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { inheritedEnv } from "./inherited-env.ts";

function all(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
}

describe(`the environment of an MCP server ${verifies("FS4")}`, () => {
  it.each([
    ["its programs", ["PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "SHELL", "TERM"]],
    [
      "proxies",
      ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"],
    ],
    [
      "its own authorities",
      ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"],
    ],
    ["a language", ["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_TIME", "TZ"]],
    ["a display", ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"]],
    [
      "package managers",
      ["NVM_DIR", "npm_config_cache", "VOLTA_HOME", "PNPM_HOME", "UV_CACHE_DIR", "PYENV_ROOT", "DOCKER_HOST"],
    ],
  ])("has what a machine has of %s", (_what, names) => {
    expect(inheritedEnv(all(names), "linux")).toEqual(all(names));
  });

  it("has no key, token, password or agent of anybody", () => {
    const secrets = [
      ...["SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "KUBECONFIG", "NETRC"],
      ...[
        "GITHUB_TOKEN",
        "NPM_TOKEN",
        "OPENAI_API_KEY",
        "CLIENT_SECRET",
        "PGPASSWORD",
        "DATABASE_URL",
        "SESSION_COOKIE",
      ],
      ...["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CA_BUNDLE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_ID"],
      ...["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ATOLL_DATA", "ATOLL_TEST_CLOCK", "ATOLL_CONFIG"],
      ...[
        "npm_config__authToken",
        "NODE_OPTIONS",
        "NODE_AUTH_TOKEN",
        "LD_PRELOAD",
        "PIP_INDEX_URL",
        "LC_all",
        "XLC_ALL",
      ],
    ];
    expect(inheritedEnv(all(secrets), "linux")).toEqual({});
    expect(inheritedEnv(all(secrets), "win32")).toEqual({});
  });

  it("has no function of a shell, whatever its name", () => {
    expect(inheritedEnv({ LC_ALL: "() { :; }; echo pwned", PATH: "/bin" }, "linux")).toEqual({ PATH: "/bin" });
  });

  it("is found whatever the case on Windows, and by its exact name elsewhere", () => {
    const env = { Path: "C:\\bin", SystemRoot: "C:\\Windows", "ProgramFiles(x86)": "C:\\x86", Http_Proxy: "http://p" };
    expect(inheritedEnv(env, "win32")).toEqual(env);
    expect(inheritedEnv(env, "linux")).toEqual({});
  });

  it("lets a real program see its proxy, and not the agent", () => {
    const outer = { ...process.env, HTTPS_PROXY: "http://user:word@proxy.example:3128", SSH_AUTH_SOCK: "/tmp/agent" };
    const script = "console.log(JSON.stringify([process.env.HTTPS_PROXY, process.env.SSH_AUTH_SOCK ?? null]))";
    const seen = execFileSync(process.execPath, ["-e", script], { env: inheritedEnv(outer), encoding: "utf8" });
    expect(JSON.parse(seen)).toEqual(["http://user:word@proxy.example:3128", null]);
  });
});
