/** What the file that wires a service is handed of its process. */
import type { Clock } from "../kernel/clock.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import type { Lifecycle } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import type { ServiceName } from "../kernel/service-names.ts";
import type { StoreOptions } from "../kernel/store/store-errors.ts";
import type { MeshKeys } from "./open-keys.ts";
import type { ServedHere } from "./served-here.ts";

export interface Wiring {
  readonly config: ResolvedConfig;
  /** The services of this process. */
  readonly services: ReadonlySet<ServiceName>;
  readonly log: Log;
  readonly clock: Clock;
  readonly version: string;
  /** Names this life of this process. */
  readonly instanceId: string;
  readonly keys: MeshKeys;
  readonly lifecycle: Lifecycle;
  readonly served: ServedHere;
  readonly storeOptions: StoreOptions;
}
