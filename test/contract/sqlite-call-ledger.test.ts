import { openCallLedger } from "../../services/toolrouter/ledger/open-call-ledger.ts";
import { callLedgerSuite } from "./call-ledger-suite.ts";

callLedgerSuite("the SQLite call ledger", { open: openCallLedger });
