/** The events of the API's stream. */
import type { JsonObject } from "@bufbuild/protobuf";

export type ApiEvent = JsonObject & { type: string };

export interface AnswerEvent {
  readonly data: ApiEvent;
  /** Whether it brings a piece of content. */
  readonly delta: boolean;
}
