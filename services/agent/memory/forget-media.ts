/**
 * Forgets the bytes of media that no model will be shown any more.
 *
 * Keeps L7: a conversation that is remembered holds a bounded number of bytes of media, the newest; what is forgotten is
 * named to the model as what is not shown. The log has it still.
 */
import type { ContentBlock, MediaSource } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import type { ConversationRun } from "./conversation.ts";

/** Twice what one request shows (maxAllPictureBytes). */
const maxRememberedMediaBytes = 30_000_000;

export function forgetOldMedia(runs: readonly ConversationRun[], maxBytes = maxRememberedMediaBytes): void {
  let bytes = 0;
  for (const run of runs.toReversed()) {
    for (const media of mediaOf(run).toReversed()) {
      if (media.source.case !== "inline") continue;
      bytes += media.source.value.length;
      if (bytes > maxBytes) media.source = { case: undefined };
    }
  }
}

/** In the order in which a model reads them. */
function mediaOf({ messages, steps }: ConversationRun): MediaSource[] {
  const ofSteps = steps.flatMap(({ read, items }) => [
    ...read.flatMap(({ content }) => content),
    ...items.flatMap((item) => (item.kind === "call" ? (item.finished?.content ?? []) : [])),
  ]);
  return [...messages.flat(), ...ofSteps].flatMap(mediaIn);
}

function mediaIn({ block }: ContentBlock): MediaSource[] {
  switch (block.case) {
    case "image":
    case "audio":
    case "video":
    case "file":
      return block.value.media === undefined ? [] : [block.value.media];
    default:
      return [];
  }
}
