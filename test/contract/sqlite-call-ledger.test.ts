import { openCallLedger } from "../../services/kernel/store/open-stores.ts";
import { callLedgerSuite } from "./call-ledger-suite.ts";

callLedgerSuite("the SQLite call ledger", { open: openCallLedger });
