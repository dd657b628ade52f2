/** What is said on a stream, taken up in order. A test says a handful of frames, so nothing bounds it but the test. */
import type { JsonObject } from "@bufbuild/protobuf";

export interface JsonQueue {
  readonly push: (item: JsonObject) => void;
  readonly end: () => void;
  /** To be read once. */
  readonly items: AsyncIterable<JsonObject>;
}

export function createJsonQueue(): JsonQueue {
  let push: (item: JsonObject) => void = () => {};
  let end = (): void => {};
  const items = new ReadableStream<JsonObject>({
    start(controller) {
      push = (item) => controller.enqueue(item);
      end = () => controller.close();
    },
  });
  return { push, end, items };
}
