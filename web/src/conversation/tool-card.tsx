import type { CallState, ToolCall } from "../../client/fold/conversation.ts";
import { indentJson, previewJson } from "../../client/fold/show-json.ts";
import { ChevronIcon, ToolIcon } from "../icons.tsx";
import { durationText } from "../relative-time.ts";
import { describeCall } from "./call-status.ts";
import { ContentBlocks } from "./content-blocks.tsx";

export function ToolCard({ call, isOver }: { readonly call: ToolCall; readonly isOver: boolean }) {
  const { state, progress } = call;
  const { tone, text } = describeCall(call, isOver);
  const [server = "", ...rest] = call.tool.split(".");
  const isRunning = state.kind !== "finished" && !isOver;
  return (
    <div className={`tool ${tone}`}>
      <details>
        <summary>
          <ToolIcon />
          <span className="tool-name">
            {rest.length > 0 && <span className="tool-server">{server} / </span>}
            {rest.length > 0 ? rest.join(".") : server}
          </span>
          <span className="tool-arguments">{previewJson(call.argumentsJson, maxPreviewCharacters)}</span>
          <span className={`pill ${tone}`}>
            {isRunning && <span className="spinner" />}
            {text}
          </span>
          <ChevronIcon />
        </summary>
        <div className="tool-body">
          <h3>Arguments</h3>
          <pre className="code">{indentJson(call.argumentsJson || "{}")}</pre>
          {state.kind === "finished" && (
            <>
              <h3>
                Result
                {state.durationMs > 0 && <span className="hint"> in {durationText(state.durationMs)}</span>}
              </h3>
              <div className="tool-result">
                <ContentBlocks content={state.content} />
                {state.message !== "" && <p className="unshown">{state.message}</p>}
                {isEmpty(state) && <p className="unshown">Empty</p>}
                {state.content.length === 0 && state.structuredJson !== "" && (
                  <pre className="code">{indentJson(state.structuredJson)}</pre>
                )}
                {state.truncated && <p className="unshown">The result was cut at its bound.</p>}
              </div>
            </>
          )}
        </div>
      </details>
      {isRunning && progress !== undefined && (
        <div className="tool-progress">
          <progress
            {...(progress.total > 0 && { value: progress.progress, max: progress.total })}
            aria-label="Progress"
          />
          <span>{progress.message}</span>
        </div>
      )}
    </div>
  );
}

/** What is to be cut by the layout. */
const maxPreviewCharacters = 200;

function isEmpty({ content, structuredJson, message }: Extract<CallState, { kind: "finished" }>): boolean {
  return content.length === 0 && structuredJson === "" && message === "";
}
