// A process with one part whose drain never ends and, when asked, a close that never ends; see signals.test.ts.
import { createLifecycle } from "./lifecycle.ts";
import { createLog } from "./log.ts";
import { onSignals } from "./signals.ts";

const [drains, closes] = process.argv.slice(2);
const log = createLog({ level: "info", format: "json" });
const lifecycle = createLifecycle({ log, closeTimeoutMs: 60_000 });
const alive = setInterval(() => {}, 1000);
const never = (): Promise<void> => new Promise(() => {});
await lifecycle.register({
  name: "part",
  drain: () => (drains === "never" ? never() : undefined),
  close: () => {
    clearInterval(alive);
    return closes === "never" ? never() : undefined;
  },
});
const { stopped } = onSignals(lifecycle, { log, drainTimeoutMs: 60_000 });
log.info({}, "ready");
const { exitCode } = await stopped;
process.exit(exitCode);
