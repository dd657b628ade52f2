/** How a session is named on a command line: by its id (`ses_…`), or by a key. */
export function sessionNamed(name: string) {
  return name.startsWith("ses_") ? { case: "sessionId" as const, value: name } : { case: "key" as const, value: name };
}
