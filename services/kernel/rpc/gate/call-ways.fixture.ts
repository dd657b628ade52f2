/** The ways on which a call reaches a service. */
import { protocols, type ServedRpcs } from "../served-rpcs.fixture.ts";

export const ways = ["in memory", "between services", ...protocols] as const;

export const request = { by: { case: "sessionId" as const, value: "ses_1" } };

export function transportOf(mesh: ServedRpcs, way: (typeof ways)[number]) {
  switch (way) {
    case "in memory":
      return mesh.inMemory;
    case "between services":
      return mesh.remote;
    default:
      return mesh.connect(way);
  }
}
