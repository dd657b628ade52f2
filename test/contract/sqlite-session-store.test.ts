import { openSessionStore } from "../../services/kernel/store/open-stores.ts";
import { sessionStoreSuite } from "./session-store-suite.ts";

sessionStoreSuite("the SQLite session store", { open: openSessionStore });
