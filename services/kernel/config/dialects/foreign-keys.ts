/**
 * What the keys of a server mean that other programs write, by their letters alone: `disabled_tools`, `disabledTools` and
 * `disabled-tools` are one word.
 */

/** The letters of a key. */
export function lettersOf(key: string): string {
  return key.replace(/[^a-zA-Z0-9]/g, "").toLowerCase();
}

/** Other words for keys of ours that take the same values. */
export const synonyms: ReadonlyMap<string, string> = new Map(
  Object.entries({
    cmd: "command",
    arguments: "args",
    envs: "env",
    environment: "env",
    environmentvariables: "env",
    workingdirectory: "cwd",
    workingdir: "cwd",
    workdir: "cwd",
    directory: "cwd",
    httpurl: "url",
    serverurl: "url",
    sseurl: "url",
    remoteurl: "url",
    baseurl: "url",
    uri: "url",
    endpoint: "url",
    requestheaders: "headers",
    httpheaders: "headers",
    transport: "type",
    transporttype: "type",
    displayname: "title",
    name: "title",
    disabledtools: "excludeTools",
    excludedtools: "excludeTools",
    disallowedtools: "excludeTools",
    tools: "includeTools",
    includedtools: "includeTools",
    enabledtools: "includeTools",
    availabletools: "includeTools",
    allowedtools: "includeTools",
  }),
);

/** Words for how a server is reached → ours. */
export const transportWords: ReadonlyMap<string, "stdio" | "http"> = new Map<string, "stdio" | "http">(
  Object.entries({
    stdio: "stdio",
    local: "stdio",
    command: "stdio",
    process: "stdio",
    http: "http",
    https: "http",
    streamablehttp: "http",
    streaminghttp: "http",
    httpstream: "http",
    httpfirst: "http",
    remote: "http",
    sse: "http",
    httpsse: "http",
  }),
);

/** Words that say the opposite of `disabled`. */
export const enabledWords: ReadonlySet<string> = new Set(["enabled", "isactive", "active", "isenabled"]);

export interface TimeoutWord {
  readonly key: string;
  readonly unit?: "ms" | "s";
}

/** How long something may take → our key, and the unit that the word itself names. */
export const timeoutWords: ReadonlyMap<string, TimeoutWord> = new Map<string, TimeoutWord>(
  Object.entries({
    timeout: { key: "callTimeoutMs" },
    requesttimeout: { key: "callTimeoutMs" },
    calltimeout: { key: "callTimeoutMs" },
    tooltimeout: { key: "callTimeoutMs" },
    timeoutms: { key: "callTimeoutMs", unit: "ms" },
    timeoutmilliseconds: { key: "callTimeoutMs", unit: "ms" },
    timeoutsec: { key: "callTimeoutMs", unit: "s" },
    timeoutseconds: { key: "callTimeoutMs", unit: "s" },
    tooltimeoutsec: { key: "callTimeoutMs", unit: "s" },
    inittimeout: { key: "startTimeoutMs" },
    connecttimeout: { key: "startTimeoutMs" },
    connectiontimeout: { key: "startTimeoutMs" },
    startuptimeout: { key: "startTimeoutMs" },
    startuptimeoutms: { key: "startTimeoutMs", unit: "ms" },
    startuptimeoutsec: { key: "startTimeoutMs", unit: "s" },
  }),
);

/** Words for a secret that is sent as `Authorization: Bearer …`. */
export const bearerWords: ReadonlySet<string> = new Set([
  "authorization",
  "authorizationtoken",
  "auth",
  "apikey",
  "token",
  "bearertoken",
  "accesstoken",
]);

/** Words for variables that a server, or a header of it, gets from the mesh's own environment. */
export const environmentWords: ReadonlySet<string> = new Set([
  "envkeys",
  "envvars",
  "envhttpheaders",
  "bearertokenenvvar",
]);

/** Words for people and shops: nothing depends on them. */
export const wordsWithoutEffect: ReadonlySet<string> = new Set([
  "",
  "schema",
  "comment",
  "comments",
  "note",
  "notes",
  "description",
  "version",
  "gallery",
  "icon",
  "iconurl",
  "iconpath",
  "logo",
  "logourl",
  "provider",
  "providerurl",
  "tags",
  "category",
  "registryurl",
  "homepage",
  "repository",
  "documentation",
  "author",
  "license",
  "source",
  "bundled",
  "installsource",
  "configschema",
  "metadata",
  "chatmenu",
  "id",
]);

/** Whether a server starts by itself. */
export const startWords: ReadonlySet<string> = new Set(["startup", "autostart", "autorestart", "startonlaunch"]);

const noApproval = "tools of configured servers need no approval each; `trusted: false` would ask for it";
const noOAuth = "no OAuth is done here: give a token in `headers`";
const startsWithMesh = "a server starts with the mesh and is started again when it ends";

/** Words whose effect is missing here, and what a person should know of that. */
export const unusedWords: ReadonlyMap<string, string> = new Map(
  Object.entries({
    autoapprove: noApproval,
    autoapproved: noApproval,
    autoapprovedtools: noApproval,
    alwaysallow: noApproval,
    alwaysapprove: noApproval,
    approvalmode: noApproval,
    trust: noApproval,
    oauth: noOAuth,
    oauthscopes: noOAuth,
    requiresoauth: noOAuth,
    authprovidertype: noOAuth,
    headershelper: "no program is run for headers: give them in `headers`",
    sandbox: "a server runs without a sandbox here",
    sandboxenabled: "a server runs without a sandbox here",
    dev: "nothing is watched or debugged",
    watch: "nothing is watched or debugged",
    debug: "nothing is watched or debugged",
    serverinstructions: "a server's own instructions are not given to the model",
    customuservars: "nobody is asked for values: give them in `headers` or `env`",
    settings: "settings of an extension are not given to its server: use `args` or `env`",
    startup: startsWithMesh,
    autostart: startsWithMesh,
    startonlaunch: startsWithMesh,
    autorestart: startsWithMesh,
    restart: startsWithMesh,
    maxrestarts: startsWithMesh,
    longrunning: "its time is `callTimeoutMs`",
    shell: "no shell is used: what needs one is `command: sh` with `args: [-c, …]`",
    inheritenv: "a server gets the variables that a program needs, and what `env` names",
  }),
);
