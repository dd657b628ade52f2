// The Node that npm brings: one release, whatever the platform.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { verifies } from "./requirements.ts";

interface Manifest {
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly os?: string[]; readonly cpu?: string[] }>
  >;
}

const isRuntime = (name: string): boolean => /^node(-bin)?-(linux|darwin|win)-/.test(name);

function readJson<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8")) as T;
}

test(`the runtime that is installed is the same release on every platform ${verifies("E20")}`, () => {
  const pins = Object.entries(readJson<Manifest>("package.json").optionalDependencies).filter(([name]) =>
    isRuntime(name),
  );
  expect(pins.length).toBeGreaterThan(2);
  const [version] = new Set(pins.map(([, pin]) => pin));
  // An exact one, and the one that this test runs on: what is tested is what people get.
  expect(version).toBe(process.versions.node);
  expect(pins).toEqual(pins.map(([name]) => [name, version]));
  const locked = Object.entries(readJson<Lock>("package-lock.json").packages)
    .map(([path, facts]) => [path.replace(/^.*node_modules\//, ""), facts.version] as const)
    .filter(([name]) => isRuntime(name));
  expect(Object.fromEntries(locked)).toEqual(Object.fromEntries(pins));
});
