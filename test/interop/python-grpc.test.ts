// A Python gRPC client holds the conversation; its stubs are generated here, from the contracts, by Debian's tools.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { describeConversation, meshOfThisFile } from "./conversation-suite.ts";
import { pythonClient } from "./python-client.ts";
import { generatePythonStubs } from "./python-stubs.ts";

const stubs = mkdtempSync(join(tmpdir(), "atoll-python-"));
beforeAll(() => generatePythonStubs(stubs));
afterAll(() => rmSync(stubs, { recursive: true, force: true }));

describeConversation("python3-grpcio", pythonClient(stubs), meshOfThisFile());
