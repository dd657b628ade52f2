/** What a tab and the worker that holds the browser's one stream say to each other. Messages of the contract travel encoded. */

export type ToWorker =
  | {
      readonly kind: "subscribe";
      /** The tab's own number for the subscription. */
      readonly id: number;
      readonly baseUrl: string;
      readonly token: string;
      /** An atoll.gateway.v1.SubscribeRequest. */
      readonly request: Uint8Array;
    }
  /** A response was read: the next may be sent. */
  | { readonly kind: "took"; readonly id: number }
  | { readonly kind: "leave"; readonly id: number }
  /** The answer to a question. */
  | { readonly kind: "alive" }
  /** The tab is going away. */
  | { readonly kind: "close" };

export type ToTab =
  /** The stream was answered. */
  | { readonly kind: "header"; readonly id: number }
  /** An atoll.gateway.v1.SubscribeResponse. */
  | { readonly kind: "response"; readonly id: number; readonly bytes: Uint8Array }
  /** `error`: an atoll.gateway.v1.ChatError; undefined when it ended whole. */
  | { readonly kind: "ended"; readonly id: number; readonly error: Uint8Array | undefined }
  /** Asks for a sign of life. */
  | { readonly kind: "ask" };

/** Either end of a port, in a browser or a test. */
export interface Port<Sent, Received> {
  postMessage(message: Sent): void;
  addEventListener(type: "message", listener: (event: { readonly data: Received }) => void): void;
  start(): void;
  close(): void;
}
