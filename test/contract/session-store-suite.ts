// The contract of SessionStore, for every driver: each suite has a part of it.
import { describe } from "vitest";
import { verifies } from "../requirements.ts";
import { sessionAppendSuite } from "./session-store/append-suite.ts";
import { sessionCallsSuite } from "./session-store/calls-suite.ts";
import { sessionCancelSuite } from "./session-store/cancel-suite.ts";
import { sessionClaimSuite } from "./session-store/claim-suite.ts";
import { sessionCollectSuite } from "./session-store/collect-suite.ts";
import { sessionCompactionSuite } from "./session-store/compaction-suite.ts";
import { sessionCreationSuite } from "./session-store/creation-suite.ts";
import { sessionEndingSuite } from "./session-store/ending-suite.ts";
import { sessionFilterSuite } from "./session-store/filter-suite.ts";
import { sessionForkRefusalSuite } from "./session-store/fork-refusal-suite.ts";
import { sessionForkSuite } from "./session-store/fork-suite.ts";
import { sessionIndexSuite } from "./session-store/index-suite.ts";
import { sessionLifeSuite } from "./session-store/life-suite.ts";
import { sessionListSuite } from "./session-store/list-suite.ts";
import { sessionLogSuite } from "./session-store/log-suite.ts";
import { sessionMessageSuite } from "./session-store/message-suite.ts";
import { sessionModelSuite } from "./session-store/model-suite.ts";
import { sessionRetentionModelSuite } from "./session-store/retention-model-suite.ts";
import { sessionRetentionSuite } from "./session-store/retention-suite.ts";
import { sessionRunEndSuite } from "./session-store/run-end-suite.ts";
import { sessionRunListSuite } from "./session-store/run-list-suite.ts";
import { sessionSearchSuite } from "./session-store/search-suite.ts";
import { sessionSteerSuite } from "./session-store/steer-suite.ts";
import type { SessionStoreDriver } from "./session-store/store-fixture.ts";

export function sessionStoreSuite(name: string, driver: SessionStoreDriver): void {
  describe(`${name} ${verifies("L2")}`, () => {
    sessionCreationSuite(driver);
    sessionLifeSuite(driver);
    sessionEndingSuite(driver);
    sessionCallsSuite(driver);
    sessionListSuite(driver);
    sessionRunListSuite(driver);
    sessionSearchSuite(driver);
    sessionFilterSuite(driver);
    sessionForkSuite(driver);
    sessionForkRefusalSuite(driver);
    sessionRetentionSuite(driver);
    sessionRetentionModelSuite(driver);
    sessionMessageSuite(driver);
    sessionClaimSuite(driver);
    sessionAppendSuite(driver);
    sessionRunEndSuite(driver);
    sessionSteerSuite(driver);
    sessionCollectSuite(driver);
    sessionCancelSuite(driver);
    sessionLogSuite(driver);
    sessionCompactionSuite(driver);
    sessionIndexSuite(driver);
    sessionModelSuite(driver);
  });
}
