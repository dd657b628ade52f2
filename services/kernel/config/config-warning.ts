// Keeps L9: what is not used of a configuration, or is understood in another way than it stands, is told and stops nothing.
import { visibleText } from "../visible-text.ts";
import { type ConfigSource, describeSource } from "./config-error.ts";

export interface ConfigWarning {
  /** The key as the file writes it, for example `mcpServers.files.autoApprove`. */
  readonly path: string;
  /** A sentence without its full stop; never a secret. */
  readonly text: string;
  readonly source: ConfigSource;
}

export type ReportWarning = (warning: ConfigWarning) => void;

/** In one line, control characters made visible. */
export function describeWarning({ path, text, source }: ConfigWarning): string {
  return visibleText(`${describeSource(source)}: ${path === "" ? "" : `${path}: `}${text}.`);
}
