/** The services of a mesh, in the order in which they start. */
export const serviceNames = ["session", "toolrouter", "agent", "gateway"] as const;
export type ServiceName = (typeof serviceNames)[number];
