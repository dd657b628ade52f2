/** The fake API of a chaos run, in a process of its own that no fault reaches. Its first line is its address. */
import { answerAsAsked } from "../../e2e/scripted-model.fixture.ts";
import { startFakeAnthropic } from "../../support/fake-anthropic/start-fake-anthropic.ts";

const fake = await startFakeAnthropic({ script: answerAsAsked, mostKept: 10 });
process.stdout.write(`${fake.url}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void fake.close());
