// Keeps: one answer for the whole kernel to "does this name hold a secret?", for logs and for shown configuration.

/** What stands in the place of a secret. */
export const redacted = "[redacted]";

const secretEndings = [
  "authorization",
  "token",
  "apikey",
  "password",
  "passwd",
  "secret",
  "cookie",
  "privatekey",
  "credential",
  "credentials",
];

/** Whether a key, header or option with this name holds a secret, however it is spelled: `api_key`, `X-Api-Key`. */
export function isSecretName(name: string): boolean {
  const plain = name.replace(/[^a-zA-Z0-9]/g, "").toLowerCase();
  return secretEndings.some((ending) => plain.endsWith(ending));
}
