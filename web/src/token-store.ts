/** Where the page keeps its token, and how it takes the one-time code from the address. */

const key = "atoll.token";

export function readToken(): string | undefined {
  return localStorage.getItem(key) ?? undefined;
}

export function keepToken(token: string): void {
  localStorage.setItem(key, token);
}

export function dropToken(): void {
  localStorage.removeItem(key);
}

/** Takes the code of `/#code=…` and removes it from the address bar and the history at once. */
export function takeLinkCode(): string | undefined {
  const code = new URLSearchParams(window.location.hash.slice(1)).get("code");
  if (code === null) return undefined;
  window.history.replaceState(null, "", window.location.pathname);
  return code === "" ? undefined : code;
}
