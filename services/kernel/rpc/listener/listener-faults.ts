// Keeps L9: whatever the network edge refuses, cuts off or loses is reported with a count.
// Keeps L7: a flood of faults costs one report a kind and window, so an attacker cannot fill the log.

export type ListenerFaultKind =
  | "CONNECTION_LIMIT"
  | "ADDRESS_LIMIT"
  | "SNIFF_TIMEOUT"
  | "FIRST_REQUEST_TIMEOUT"
  | "REQUEST_BODY_TIMEOUT"
  | "HTTP1_TIMEOUT"
  | "HEADERS_TOO_LARGE"
  | "HTTP1_PROTOCOL_ERROR"
  | "HTTP2_PROTOCOL_ERROR"
  | "TLS_HANDSHAKE_FAILED"
  | "TLS_NOT_CONFIGURED"
  | "PLAINTEXT_REFUSED"
  | "ADDRESS_FLOOD"
  | "ADDRESS_PENALTY"
  | "PEER_SILENT"
  | "READER_STALLED"
  | "SOCKET_ERROR"
  | "ACCEPT_ERROR"
  | "HANDLER_THREW"
  | "CLOSED_AT_DEADLINE";

/** One report; `remoteAddress` and `detail` are those of the last of the `count` faults that it stands for. */
export interface ListenerFault {
  readonly kind: ListenerFaultKind;
  /** Empty when the socket was gone before it could be asked. */
  readonly remoteAddress: string;
  readonly detail: string;
  /** Faults of this kind since the last report; at least 1. */
  readonly count: number;
}

/** Takes faults one by one and reports them bundled. */
export interface FaultReporter {
  report(kind: ListenerFaultKind, remoteAddress: string | undefined, detail: string): void;
  /** Reports what is still held back and stops the timers. Later faults are reported one by one. */
  close(): void;
}

interface Window {
  readonly timer: NodeJS.Timeout;
  heldBack: ListenerFault | undefined;
}

/** The first fault of a kind is reported at once, those in the `windowMs` after it together at its end. */
export function createFaultReporter(onFault: (fault: ListenerFault) => void, windowMs: number): FaultReporter {
  const windows = new Map<ListenerFaultKind, Window>();
  let closed = false;

  const endWindow = (kind: ListenerFaultKind): void => {
    const heldBack = windows.get(kind)?.heldBack;
    windows.delete(kind);
    if (heldBack === undefined) return;
    if (!closed) openWindow(kind);
    onFault(heldBack);
  };
  const openWindow = (kind: ListenerFaultKind): void => {
    windows.set(kind, { timer: setTimeout(endWindow, windowMs, kind).unref(), heldBack: undefined });
  };

  return {
    report(kind, remoteAddress, detail) {
      const fault = { kind, remoteAddress: remoteAddress ?? "", detail, count: 1 };
      const open = windows.get(kind);
      if (open === undefined) {
        if (!closed) openWindow(kind);
        onFault(fault);
      } else {
        open.heldBack = { ...fault, count: (open.heldBack?.count ?? 0) + 1 };
      }
    },
    close() {
      closed = true;
      for (const [kind, { timer }] of [...windows]) {
        clearTimeout(timer);
        endWindow(kind);
      }
    },
  };
}
