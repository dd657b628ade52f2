import { SourceMap } from "node:module";
import { rolldown } from "rolldown";
import { expect, it } from "vitest";
import { escapeWide } from "./escape-wide.ts";

const source = `export const [a, b] = ["–“”", "plain"];
export const greet = (name: string) => \`… \${name} 👋 \${failAt(name)}\`;
const isDash = /^[–—]$/u;
export function failAt(name: string): string {
  if (isDash.test(name)) throw new Error(\`→ \${name}\`);
  return name.replaceAll("é", "−");
}
`;

async function build() {
  const bundle = await rolldown({
    input: "wide.ts",
    plugins: [{ name: "text", resolveId: (id) => id, load: () => ({ code: source, moduleType: "ts" }) }],
  });
  const { output } = await bundle.generate({
    sourcemap: true,
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  });
  await bundle.close();
  const { code, map } = output[0];
  return { code, map: map ?? expect.fail("no map") };
}

it("means the same, and has no wide character", async () => {
  const { code, map } = await build();
  const escaped = escapeWide({ code, mappings: map.mappings });
  expect(code).toMatch(/[^\0-\xff]/);
  expect(escaped.code).not.toMatch(/[^\0-\xff]/);
  const load = (text: string) => import(`data:text/javascript,${encodeURIComponent(text)}`) as Promise<never>;
  const [before, after] = [await load(code), await load(escaped.code)] as Record<string, (text: string) => string>[];
  expect(after?.["a"]).toBe(before?.["a"]);
  expect(after?.["greet"]?.("é")).toBe("… é 👋 −");
  expect(() => after?.["failAt"]?.("—")).toThrow("→ —");
});

it("moves the mappings with the columns", async () => {
  const { code, map } = await build();
  const escaped = escapeWide({ code, mappings: map.mappings });
  const lineOf = (text: string, mappings: string, word: string): number | undefined => {
    const lines = text.split("\n");
    const line = lines.findIndex((each) => each.includes(word));
    const entry = new SourceMap({ ...map, file: "", sourceRoot: "", mappings } as never).findEntry(
      line,
      lines[line]?.indexOf(word) ?? 0,
    );
    return "originalLine" in entry ? entry.originalLine : undefined;
  };
  for (const word of ["greet", "failAt", "isDash", "replaceAll", "throw", "Error"]) {
    expect(lineOf(escaped.code, escaped.mappings, word), word).toBe(lineOf(code, map.mappings, word));
  }
  expect(lineOf(escaped.code, escaped.mappings, "replaceAll")).toBe(5);
});
