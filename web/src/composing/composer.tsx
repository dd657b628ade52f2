/**
 * Where the person writes. Enter sends, Shift+Enter begins a new line; while a run is active there is a stop button. The
 * text stays in the box until the mesh has accepted it, and until then in the browser, whatever happens to the page.
 */
import { type KeyboardEvent, type SyntheticEvent, useCallback, useEffect, useRef, useState } from "react";
import { SendIcon, StopIcon } from "../icons.tsx";
import { keepDraft, readDraft } from "./drafts.ts";
import type { Outgoing } from "./use-send.ts";

interface ComposerProps {
  /** The session; empty for a new one. Another conversation is another composer (a `key`). */
  readonly conversation: string;
  readonly outgoing: Outgoing;
  readonly onSend: (text: string) => void;
  /** The session takes no more messages. */
  readonly isClosed: boolean;
  /** Set while a run is active. */
  readonly stop: { readonly isStopping: boolean; readonly onStop: () => void } | undefined;
}

/** The code of a key that an input method took (UI Events, legacy key attributes). */
const compositionKeyCode = 229;

/** The box grows with its text up to this height. */
const maxHeightPx = 220;

export function Composer({ conversation, outgoing, onSend, isClosed, stop }: ComposerProps) {
  const [text, setText] = useState(() => readDraft(conversation));
  const box = useRef<HTMLTextAreaElement>(null);
  const isSending = outgoing.kind === "sending";
  const canSend = text.trim() !== "" && !isSending && !isClosed;

  useEffect(() => {
    // On a touch screen the focus would open the keyboard over the conversation.
    if (window.matchMedia("(pointer: fine)").matches) box.current?.focus();
  }, []);
  const write = useCallback(
    (next: string) => {
      setText(next);
      keepDraft(conversation, next);
    },
    [conversation],
  );
  useEffect(() => {
    // What the person wrote meanwhile stays.
    if (outgoing.kind === "accepted") setText((now) => (now.trim() === outgoing.text ? "" : now));
  }, [outgoing]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text.
  useEffect(() => {
    if (box.current === null) return;
    box.current.style.height = "auto";
    box.current.style.height = `${Math.min(box.current.scrollHeight, maxHeightPx)}px`;
  }, [text]);

  const send = () => {
    if (!canSend) return;
    onSend(text.trim());
  };
  const onSubmit = (event: SyntheticEvent) => {
    event.preventDefault();
    send();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // An Enter that ends the input of a composed character does not send; some browsers end the composition before they
    // tell of the key, and then only its code says what it was for.
    const endsComposition = event.nativeEvent.isComposing || event.keyCode === compositionKeyCode;
    if (event.key !== "Enter" || event.shiftKey || endsComposition) return;
    event.preventDefault();
    send();
  };

  return (
    <form className="composer" onSubmit={onSubmit}>
      {outgoing.kind === "failed" && (
        <p className="problem" role="alert">
          Not sent: {outgoing.problem}
        </p>
      )}
      <div className="composer-box">
        <textarea
          ref={box}
          rows={1}
          dir="auto"
          value={text}
          disabled={isClosed}
          aria-label="Message"
          placeholder={isClosed ? "This conversation is closed." : "Write a message"}
          onChange={(event) => write(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {stop !== undefined && (
          <button type="button" className="round stop" disabled={stop.isStopping} onClick={stop.onStop}>
            <StopIcon />
            <span>{stop.isStopping ? "Stopping" : "Stop"}</span>
          </button>
        )}
        <button type="submit" className="round send" aria-label="Send" disabled={!canSend}>
          <SendIcon />
        </button>
      </div>
      <p className="composer-hint" role="status">
        {isSending ? "Sending…" : "Enter sends, Shift+Enter begins a new line"}
      </p>
    </form>
  );
}
