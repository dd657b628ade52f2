/** On whose behalf a port is called. Every key of every store starts with the tenant. */
export interface Scope {
  /** The tenant, 1–64 characters. A mesh on a laptop has one: `local`. */
  readonly tenant: string;
  /** Who acts, for example `user:local` or `worker:…`. Stored with what they change. */
  readonly principal: string;
}
