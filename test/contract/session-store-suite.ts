// The contract of SessionStore, for every driver: each suite has a part of it.
import { describe } from "vitest";
import { verifies } from "../requirements.ts";
import { sessionAppendSuite } from "./session-append-suite.ts";
import { sessionCallsSuite } from "./session-calls-suite.ts";
import { sessionCancelSuite } from "./session-cancel-suite.ts";
import { sessionClaimSuite } from "./session-claim-suite.ts";
import { sessionCollectSuite } from "./session-collect-suite.ts";
import { sessionCompactionSuite } from "./session-compaction-suite.ts";
import { sessionCreationSuite } from "./session-creation-suite.ts";
import { sessionEndSuite } from "./session-end-suite.ts";
import { sessionEndingSuite } from "./session-ending-suite.ts";
import { sessionFilterSuite } from "./session-filter-suite.ts";
import { sessionForkRefusalSuite } from "./session-fork-refusal-suite.ts";
import { sessionForkSuite } from "./session-fork-suite.ts";
import { sessionIndexSuite } from "./session-index-suite.ts";
import { sessionLifeSuite } from "./session-life-suite.ts";
import { sessionListSuite } from "./session-list-suite.ts";
import { sessionLogSuite } from "./session-log-suite.ts";
import { sessionMessageSuite } from "./session-message-suite.ts";
import { sessionModelSuite } from "./session-model-suite.ts";
import { sessionRetentionModelSuite } from "./session-retention-model-suite.ts";
import { sessionRetentionSuite } from "./session-retention-suite.ts";
import { sessionSearchSuite } from "./session-search-suite.ts";
import { sessionSteerSuite } from "./session-steer-suite.ts";
import type { SessionStoreDriver } from "./session-store-fixture.ts";

export function sessionStoreSuite(name: string, driver: SessionStoreDriver): void {
  describe(`${name} ${verifies("L2")}`, () => {
    sessionCreationSuite(driver);
    sessionLifeSuite(driver);
    sessionEndingSuite(driver);
    sessionCallsSuite(driver);
    sessionListSuite(driver);
    sessionSearchSuite(driver);
    sessionFilterSuite(driver);
    sessionForkSuite(driver);
    sessionForkRefusalSuite(driver);
    sessionRetentionSuite(driver);
    sessionRetentionModelSuite(driver);
    sessionMessageSuite(driver);
    sessionClaimSuite(driver);
    sessionAppendSuite(driver);
    sessionEndSuite(driver);
    sessionSteerSuite(driver);
    sessionCollectSuite(driver);
    sessionCancelSuite(driver);
    sessionLogSuite(driver);
    sessionCompactionSuite(driver);
    sessionIndexSuite(driver);
    sessionModelSuite(driver);
  });
}
