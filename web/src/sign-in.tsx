/** Shown to whoever has no valid token: how to get a one-time link. */
import { useState } from "react";
import { AtollMark } from "./icons.tsx";

const command = "npx --no atoll token --link";

export function SignIn({ isBusy, problem }: { readonly isBusy: boolean; readonly problem: string }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = () => {
    // The clipboard is refused on plain HTTP beyond localhost; the command can be selected by hand there.
    navigator.clipboard?.writeText(command).then(
      () => setIsCopied(true),
      () => setIsCopied(false),
    );
  };
  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <AtollMark size={56} />
        <h1>{isBusy ? "Signing you in…" : "Welcome to Atoll"}</h1>
        {!isBusy && (
          <>
            {problem !== "" && (
              <p className="problem" role="alert">
                {problem}
              </p>
            )}
            <p>This page opens with a one-time link. Run this where the mesh runs, then open what it prints:</p>
            <div className="command">
              <code>{command}</code>
              <button type="button" className="quiet" onClick={copy}>
                {isCopied ? "Copied" : "Copy"}
              </button>
            </div>
            <p className="hint">A link works once, for ten minutes. After that this browser stays signed in.</p>
          </>
        )}
      </div>
    </main>
  );
}
