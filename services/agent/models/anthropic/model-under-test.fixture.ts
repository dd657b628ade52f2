/** A driver of the Anthropic API before a fake of it, new for each test. */
import { afterEach, beforeEach } from "vitest";
import {
  type FakeAnthropic,
  startFakeAnthropic,
} from "../../../../test/support/fake-anthropic/start-fake-anthropic.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { createLog, type Log } from "../../../kernel/log.ts";
import { type AnthropicModel, type AnthropicSettings, createAnthropicModel } from "./anthropic-model.ts";

export class ModelUnderTest {
  /** What the driver logged, a line of JSON each. */
  lines: string[] = [];
  #fake: FakeAnthropic | undefined;
  #log: Log | undefined;

  /** To be made while tests are described. */
  constructor() {
    beforeEach(async () => {
      this.#fake = await startFakeAnthropic();
      this.lines = [];
      this.#log = createLog({
        level: "debug",
        format: "json",
        destination: { write: (line) => this.lines.push(line) },
      });
    });
    afterEach(() => this.fake.close());
  }

  get fake(): FakeAnthropic {
    if (this.#fake === undefined) throw new Error("the fake API is there while a test runs");
    return this.#fake;
  }

  model(more: Partial<AnthropicSettings> = {}): AnthropicModel {
    if (this.#log === undefined) throw new Error("a model is made while a test runs");
    const settings = {
      apiKey: "sk-secret",
      baseUrl: this.fake.url,
      maxRetries: 0,
      timeoutMs: 20_000,
      silenceMs: 10_000,
      ...more,
    };
    return createAnthropicModel(settings, { clock: systemClock, log: this.#log });
  }

  lastBody(): Record<string, unknown> {
    return this.fake.requests().at(-1)?.body ?? {};
  }
}
