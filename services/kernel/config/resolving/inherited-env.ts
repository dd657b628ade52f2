/**
 * The part of an environment that MCP servers inherit.
 *
 * Keeps: a child process gets what programs need to run on this machine (its way into the network, whom it trusts, its
 * language, its display, where package managers keep things) and nothing else. It is a list of what is let through: keys,
 * tokens and passwords are not inherited, nor are the sockets of agents that sign (SSH_AUTH_SOCK, GPG_AGENT_INFO) or keep
 * secrets (DBUS_SESSION_BUS_ADDRESS). The address of a proxy may hold a password: without it the program has no network.
 */
import type { Environment } from "../settings.ts";

const programs = ["PATH", "HOME", "TMPDIR", "TERM", "NO_COLOR", "USER", "LOGNAME", "SHELL", "LD_LIBRARY_PATH"];

const language = ["LANG", "LANGUAGE", "TZ"];
const localeCategory = /^LC_[A-Z]+$/;

/** Programs know them in capitals, in small letters, or both. */
const network = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);
const networkOfNode = ["NODE_USE_ENV_PROXY", "npm_config_proxy", "npm_config_https_proxy", "npm_config_noproxy"];

/** Files and folders of certificates. */
const trust = [
  ...["SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "NODE_USE_SYSTEM_CA"],
  ...["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "DENO_CERT", "CARGO_HTTP_CAINFO"],
  ...["NPM_CONFIG_CAFILE", "npm_config_cafile"],
];

const display = [
  ...["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP"],
  ...["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_DIRS"],
  ...["CHROME_PATH", "PUPPETEER_EXECUTABLE_PATH", "PLAYWRIGHT_BROWSERS_PATH"],
];

/** Where runtimes and package managers are, and keep what they downloaded; `docker` needs to find its engine. */
const packages = [
  ...[
    "NVM_DIR",
    "NVM_BIN",
    "VOLTA_HOME",
    "FNM_DIR",
    "FNM_MULTISHELL_PATH",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
  ],
  ...["NPM_CONFIG_PREFIX", "npm_config_prefix", "NPM_CONFIG_CACHE", "npm_config_cache", "NPM_CONFIG_REGISTRY"],
  ...["npm_config_registry", "PNPM_HOME", "BUN_INSTALL", "DENO_DIR", "DENO_INSTALL", "DENO_INSTALL_ROOT"],
  ...["PYENV_ROOT", "PIPX_HOME", "PIPX_BIN_DIR", "UV_CACHE_DIR", "UV_PYTHON", "UV_PYTHON_INSTALL_DIR", "UV_TOOL_DIR"],
  ...["CONDA_PREFIX", "VIRTUAL_ENV", "CARGO_HOME", "RUSTUP_HOME", "GOPATH", "GOROOT", "GOCACHE", "GOMODCACHE"],
  ...["JAVA_HOME", "SDKMAN_DIR", "DOTNET_ROOT", "GEM_HOME", "GEM_PATH", "RBENV_ROOT", "HOMEBREW_PREFIX"],
  ...["NIX_PATH", "NIX_PROFILES", "DOCKER_HOST", "DOCKER_CONTEXT"],
];

/** Without these a program does not start on Windows, or does not find its folders. */
const windows = [
  ...["APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROGRAMDATA", "PROGRAMFILES"],
  ...["PROGRAMFILES(X86)", "PROCESSOR_ARCHITECTURE", "NUMBER_OF_PROCESSORS", "PUBLIC", "SYSTEMDRIVE", "SYSTEMROOT"],
  ...["TEMP", "TMP", "USERNAME", "USERPROFILE", "WINDIR"],
];

const everywhere = new Set([
  ...[...programs, ...language, ...network, ...networkOfNode, ...trust, ...display, ...packages],
]);
/** There names have no case. */
const onWindows = new Set([...everywhere, ...windows].map((name) => name.toUpperCase()));

export function inheritedEnv(env: Environment, platform: NodeJS.Platform = process.platform): Record<string, string> {
  const isWindows = platform === "win32";
  const isInherited = (name: string): boolean =>
    isWindows ? onWindows.has(name.toUpperCase()) : everywhere.has(name) || localeCategory.test(name);
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // A shell runs a function that a variable of any name holds.
    if (value !== undefined && !value.startsWith("()") && isInherited(name)) inherited[name] = value;
  }
  return inherited;
}
