/** Signed out, signing in, or in: which of the page's two screens is shown. */
import { useEffect, useMemo, useState } from "react";
import { explainError } from "./explain-error.ts";
import { openMeshClients, redeemLink } from "./mesh-clients.ts";
import { SignIn } from "./sign-in.tsx";
import { dropToken, keepToken, readToken } from "./token-store.ts";
import { Workspace } from "./workspace.tsx";

type Access =
  | { readonly kind: "redeeming"; readonly code: string }
  | { readonly kind: "signedIn"; readonly token: string }
  | { readonly kind: "signedOut"; readonly problem: string };

function accessAtStart(linkCode: string | undefined): Access {
  if (linkCode !== undefined) return { kind: "redeeming", code: linkCode };
  const token = readToken();
  return token === undefined ? { kind: "signedOut", problem: "" } : { kind: "signedIn", token };
}

export function App({ linkCode }: { readonly linkCode: string | undefined }) {
  const [access, setAccess] = useState(() => accessAtStart(linkCode));

  useEffect(() => {
    if (access.kind !== "redeeming") return;
    redeemLink(access.code).then(
      (token) => {
        keepToken(token);
        setAccess({ kind: "signedIn", token });
      },
      (error: unknown) => {
        // An old link does no harm to somebody who is signed in.
        const token = readToken();
        setAccess(token ? { kind: "signedIn", token } : { kind: "signedOut", problem: explainError(error) });
      },
    );
  }, [access]);

  const token = access.kind === "signedIn" ? access.token : undefined;
  const clients = useMemo(() => {
    if (token === undefined) return undefined;
    return openMeshClients(token, () => {
      dropToken();
      setAccess({ kind: "signedOut", problem: "Your sign-in is no longer valid." });
    });
  }, [token]);

  if (clients !== undefined) return <Workspace clients={clients} />;
  return <SignIn isBusy={access.kind === "redeeming"} problem={access.kind === "signedOut" ? access.problem : ""} />;
}
