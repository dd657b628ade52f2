/** The result of a bench: tables for people, or with `--json` one JSON object. */

export interface Aim {
  readonly name: string;
  readonly value: number;
  /** The bound that the value must keep. */
  readonly aim: { readonly atMost: number } | { readonly atLeast: number };
  readonly unit: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface Report {
  readonly bench: string;
  readonly tables: readonly Table[];
  readonly aims: readonly Aim[];
  /** What the reader must know to judge the figures, a line each. */
  readonly notes: readonly string[];
  /** Everything that was measured, for machines. */
  readonly figures: object;
}

export function printReport(report: Report, asJson: boolean): void {
  process.stdout.write(asJson ? `${JSON.stringify(forMachines(report))}\n` : forPeople(report));
}

function forMachines({ bench, figures, aims, notes }: Report): object {
  return { bench, ...figures, aims: aims.map((aim) => ({ ...aim, met: isMet(aim) })), notes };
}

function forPeople({ tables, aims, notes }: Report): string {
  const aimTable: Table = {
    title: "Aims",
    columns: ["", "measured", "aim", ""],
    rows: aims.map((aim) => [
      aim.name,
      `${show(aim.value)} ${aim.unit}`,
      describeAim(aim),
      isMet(aim) ? "met" : "MISSED",
    ]),
  };
  const parts = [...tables, ...(aims.length === 0 ? [] : [aimTable])].map(drawTable);
  return `\n${[...parts, notes.join("\n")].join("\n\n")}\n`;
}

function isMet({ value, aim }: Aim): boolean {
  return "atMost" in aim ? value <= aim.atMost : value >= aim.atLeast;
}

function describeAim({ aim, unit }: Aim): string {
  return "atMost" in aim ? `≤ ${aim.atMost} ${unit}` : `≥ ${aim.atLeast} ${unit}`;
}

function drawTable({ title, columns, rows }: Table): string {
  const cells = [columns, ...rows].map((row) => row.map((cell) => (typeof cell === "number" ? show(cell) : cell)));
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    // Names stand at the left, figures at the right.
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  "),
  );
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [title, lines[0], rule, ...lines.slice(1)].join("\n");
}

/** Three significant digits are more than a shared machine can tell. */
function show(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
