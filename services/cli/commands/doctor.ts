/** `atoll doctor`. What it checks is loaded when it runs: tool servers, stores, everything that a mesh is made of. */
import type { Command } from "../command.ts";

export const doctor: Command = {
  usage: "",
  summary: "Say what is wrong with this installation or the running mesh, and what to do.",
  flags: ["url", "token", "listen", "json"],
  run: async (input) => (await import("../doctor/run-doctor.ts")).runDoctor(input),
};
