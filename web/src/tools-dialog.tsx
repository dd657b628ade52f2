/** The tools and their servers: what can be used, what can't, and why. Read when it is opened. */
import { useEffect, useRef, useState } from "react";
import { type Server, ServerState, type Tool, ToolState } from "../../gen/atoll/tool/v1/tool_pb.ts";
import { explainError } from "./explain-error.ts";
import { CloseIcon, ToolIcon } from "./icons.tsx";
import type { MeshClients } from "./mesh-clients.ts";

const listTimeoutMs = 15_000;
/** What is shown at the most; the command line shows all. */
const maxTools = 1_000;
const maxServers = 500;

type Shown =
  | { readonly kind: "closed" }
  | { readonly kind: "loading" }
  | { readonly kind: "loaded"; readonly tools: readonly Tool[]; readonly servers: readonly Server[] }
  | { readonly kind: "failed"; readonly problem: string };

export function ToolsButton({ clients }: { readonly clients: MeshClients }) {
  const [shown, setShown] = useState<Shown>({ kind: "closed" });
  const dialog = useRef<HTMLDialogElement>(null);
  const isOpen = shown.kind !== "closed";

  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
  }, [isOpen]);

  const open = () => {
    setShown({ kind: "loading" });
    readAll(clients).then(
      ({ tools, servers }) => setShown((now) => (now.kind === "closed" ? now : { kind: "loaded", tools, servers })),
      (error: unknown) =>
        setShown((now) => (now.kind === "closed" ? now : { kind: "failed", problem: explainError(error) })),
    );
  };
  return (
    <>
      <button type="button" className="show-tools" onClick={open}>
        <ToolIcon /> Tools
      </button>
      {isOpen && (
        <dialog
          ref={dialog}
          className="tools-dialog"
          aria-label="Tools and their servers"
          onClose={() => setShown({ kind: "closed" })}
        >
          <header>
            <h2>Tools</h2>
            <button type="button" className="icon-button" aria-label="Close" onClick={() => dialog.current?.close()}>
              <CloseIcon />
            </button>
          </header>
          {shown.kind === "loading" && <p className="hint">Asking the servers…</p>}
          {shown.kind === "failed" && (
            <p className="problem" role="alert">
              {shown.problem}
            </p>
          )}
          {shown.kind === "loaded" && shown.servers.length === 0 && (
            <p className="hint">No MCP server is configured.</p>
          )}
          {shown.kind === "loaded" &&
            shown.servers.map((server) => (
              <ServerView
                key={server.name}
                server={server}
                tools={shown.tools.filter((tool) => tool.server === server.name)}
              />
            ))}
        </dialog>
      )}
    </>
  );
}

async function readAll({ toolRouter }: MeshClients) {
  const options = { timeoutMs: listTimeoutMs };
  const [{ tools }, { servers }] = await Promise.all([
    toolRouter.listTools({ pageSize: maxTools, includeUnusable: true }, options),
    toolRouter.listServers({ pageSize: maxServers }, options),
  ]);
  return { tools, servers };
}

function ServerView({ server, tools }: { readonly server: Server; readonly tools: readonly Tool[] }) {
  const { name, serverTitle, state, problem } = server;
  const isGood = state === ServerState.READY;
  return (
    <section>
      <h3 dir="auto">
        {serverTitle && serverTitle !== name ? `${name} (${serverTitle})` : name}{" "}
        <span className={isGood ? "badge" : "badge warn"}>{serverStates[state] ?? "unknown"}</span>
      </h3>
      {problem !== "" && (
        <p className="problem" dir="auto">
          {problem}
        </p>
      )}
      <ul>
        {tools.map((tool) => (
          <li key={tool.name}>
            <ToolView tool={tool} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function ToolView({ tool }: { readonly tool: Tool }) {
  const { name, nameAtServer, state, problem, description } = tool;
  const isUsable = state === ToolState.READY;
  return (
    <>
      <code>{name}</code>
      {nameAtServer !== "" && <span className="hint"> ({nameAtServer})</span>}
      {!isUsable && " "}
      {!isUsable && <span className="badge bad">{toolStates[state] ?? "unknown"}</span>}
      {problem !== "" && (
        <p className={isUsable ? "hint" : "problem"} dir="auto">
          {problem}
        </p>
      )}
      {problem === "" && description !== "" && (
        <p className="hint" dir="auto">
          {description.split("\n", 1)[0]}
        </p>
      )}
    </>
  );
}

const serverStates: Readonly<Record<number, string>> = {
  [ServerState.STARTING]: "starting",
  [ServerState.READY]: "ready",
  [ServerState.BACKING_OFF]: "not running, will be tried again",
  [ServerState.STOPPED]: "switched off",
};

const toolStates: Readonly<Record<number, string>> = {
  [ToolState.PENDING]: "waits for approval",
  [ToolState.QUARANTINED]: "changed since its approval",
  [ToolState.UNUSABLE]: "can't be used",
};
