/** Where the person writes. Enter sends, Shift+Enter begins a new line; while a run is active there is a stop button. */
import { type KeyboardEvent, type SyntheticEvent, useEffect, useRef, useState } from "react";
import { SendIcon, StopIcon } from "./icons.tsx";
import type { Outgoing } from "./use-send.ts";

interface ComposerProps {
  readonly outgoing: Outgoing;
  readonly onSend: (text: string) => void;
  /** The session takes no more messages. */
  readonly isClosed: boolean;
  /** Set while a run is active. */
  readonly stop: { readonly isStopping: boolean; readonly onStop: () => void } | undefined;
}

/** The box grows with its text up to this height. */
const maxHeightPx = 220;

export function Composer({ outgoing, onSend, isClosed, stop }: ComposerProps) {
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const isSending = outgoing.kind === "sending";
  const canSend = text.trim() !== "" && !isSending && !isClosed;

  useEffect(() => {
    // On a touch screen the focus would open the keyboard over the conversation.
    if (window.matchMedia("(pointer: fine)").matches) box.current?.focus();
  }, []);
  useEffect(() => {
    // What could not be sent is given back, unless the person is writing something else already.
    if (outgoing.kind === "failed") setText((now) => now || outgoing.text);
  }, [outgoing]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text.
  useEffect(() => {
    if (box.current === null) return;
    box.current.style.height = "auto";
    box.current.style.height = `${Math.min(box.current.scrollHeight, maxHeightPx)}px`;
  }, [text]);

  const send = () => {
    if (!canSend) return;
    setText("");
    onSend(text.trim());
  };
  const onSubmit = (event: SyntheticEvent) => {
    event.preventDefault();
    send();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // An Enter that ends the input of a composed character does not send.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
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
          value={text}
          disabled={isClosed}
          aria-label="Message"
          placeholder={isClosed ? "This conversation is closed." : "Write a message"}
          onChange={(event) => setText(event.target.value)}
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
      <p className="composer-hint">Enter sends, Shift+Enter begins a new line</p>
    </form>
  );
}
