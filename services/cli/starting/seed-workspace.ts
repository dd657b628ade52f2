/** A new workspace gets one file, so that the first question has something to find. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const notes = `# Notes

This folder is the workspace: what agents may read and write.
Put your own files here, or name another folder with \`workspace\` in atoll.yaml.
`;

/** Does nothing when the folder is there already. */
export function seedWorkspace(folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "notes.md"), notes);
}
