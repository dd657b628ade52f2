/** A folder with a configuration file, new for each test. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { type LoadConfigOptions, loadConfig } from "./load-config.ts";

export class ConfigUnderTest {
  cwd = "";

  /** To be made while tests are described. */
  constructor() {
    beforeEach(async () => {
      this.cwd = await mkdtemp(path.join(tmpdir(), "atoll-config-"));
    });
    afterEach(async () => {
      await rm(this.cwd, { recursive: true });
    });
  }

  async load(text: string, options: LoadConfigOptions = {}) {
    await writeFile(path.join(this.cwd, "atoll.yaml"), text);
    return loadConfig({ cwd: this.cwd, env: {}, terminal: false, ...options });
  }

  async failureOf(text: string, options: LoadConfigOptions = {}): Promise<ConfigError> {
    try {
      await this.load(text, options);
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error("the configuration was accepted");
  }

  async problemOf(text: string, options: LoadConfigOptions = {}): Promise<ConfigProblem> {
    const { problems } = await this.failureOf(text, options);
    expect(problems).toHaveLength(1);
    return problems[0] as ConfigProblem;
  }
}
