import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import { sessionStoreSuite } from "./session-store-suite.ts";

sessionStoreSuite("the SQLite session store", { open: openSessionStore });
