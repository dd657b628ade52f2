/** How large the source files are, and whether they import each other in a circle: a step of `npm run check`. */
import { findCycles } from "./import-graph.ts";
import { isTestFile, readSourceFiles, type SourceFile } from "./source-files.ts";

/**
 * In lines. A file does one thing: around 120 lines is typical, and half of them are shorter than 100. Biome refuses a file
 * over 300 as well (noExcessiveLinesPerFile), where an editor shows it.
 */
const bounds = { median: 100, p90: 250, largest: 300 } as const;

interface Measured {
  readonly name: string;
  readonly files: number;
  readonly median: number;
  readonly p90: number;
  readonly largest: { readonly path: string; readonly lines: number };
}

/** Prints what there is; gives what is over a bound, a line each. */
export function measureSources(files = readSourceFiles("services", "proto", "web", "test")): string[] {
  const groups = Map.groupBy(files, groupOf);
  const problems = [...groups].flatMap(([name, group]) => {
    const measured = measure(name, group);
    const { median, p90, largest } = measured;
    console.log(
      `${name.padEnd(8)} ${String(measured.files).padStart(4)} files   lines: median ${median}, p90 ${p90}, largest ${largest.lines} (${largest.path})`,
    );
    return findExcess(measured);
  });
  const cycles = findCycles(files);
  console.log(`cycles of imports, types included: ${cycles.length}`);
  return [...problems, ...cycles.map((cycle) => `import each other: ${cycle.join(", ")}`)];
}

function groupOf({ path }: SourceFile): string {
  if (isTestFile(path)) return "tests";
  return path.startsWith("web/") ? "web" : "services";
}

function measure(name: string, files: readonly SourceFile[]): Measured {
  const sorted = files.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
  sorted.sort((one, other) => one.lines - other.lines);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? { path: "", lines: 0 };
  return { name, files: files.length, median: at(0.5).lines, p90: at(0.9).lines, largest: at(1) };
}

function findExcess({ name, median, p90, largest }: Measured): string[] {
  return [
    ...(median > bounds.median ? [`${name}: the median is over ${bounds.median} lines`] : []),
    ...(p90 > bounds.p90 ? [`${name}: the p90 is over ${bounds.p90} lines`] : []),
    ...(largest.lines > bounds.largest ? [`${largest.path} has more than ${bounds.largest} lines`] : []),
  ];
}
