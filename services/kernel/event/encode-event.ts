/** Encodes an event without server fields: the session service appends `first_seq`, `seq` and `time` (architecture §Bytes). */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";

/** What an event says, as `create` takes it. */
export type EventBody = NonNullable<EventInit["body"]>;

export type EventInit = Omit<
  Exclude<MessageInitShape<typeof EventSchema>, { $typeName: string }>,
  "firstSeq" | "seq" | "time"
>;

export function encodeEvent(event: EventInit): Uint8Array {
  return toBinary(EventSchema, create(EventSchema, event));
}
