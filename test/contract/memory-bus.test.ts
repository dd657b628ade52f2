import { MemoryBus } from "../../services/kernel/bus/memory/memory-bus.ts";
import { busSuite } from "./bus-suite.ts";

busSuite("the bus of one process", { open: async (reportFault) => new MemoryBus(reportFault) });
