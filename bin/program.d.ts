/** The folder is that of the repository or of an installed package. */
export function programIn(folder: string): string;
export function freshProgramIn(folder: string): string | undefined;
