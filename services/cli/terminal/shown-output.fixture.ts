/** The door to standard output and error with what went through it, for tests. */
import { Writable } from "node:stream";
import type { Output } from "../command.ts";
import { createOutput } from "./output.ts";

export interface ShownOutput {
  readonly output: Output;
  readonly out: () => string;
  readonly err: () => string;
}

/** Default: two pipes, and no JSON. */
export function openOutput({ isTerminal = false, isJson = false, isPlain = false } = {}): ShownOutput {
  const [out, err] = [collect(isTerminal), collect(isTerminal)];
  return {
    output: createOutput({ out: out.stream, err: err.stream, isJson, isPlain }),
    out: out.text,
    err: err.text,
  };
}

function collect(isTTY: boolean) {
  let text = "";
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY }), text: () => text };
}
