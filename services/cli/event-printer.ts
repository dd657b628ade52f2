/**
 * Events on a terminal: the answer as it is, everything else as short lines.
 *
 * Keeps S2 for who reads along: what a resumed stream tells once more is not printed once more.
 */
import { toJsonString } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus, RunStatusSchema } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome, ToolOutcomeSchema } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { jsonRegistry } from "../kernel/event/json-registry.ts";
import type { Output } from "./command.ts";
import { plain } from "./plain-text.ts";
import { ShownBlocks } from "./shown-blocks.ts";

const maxResultCharacters = 200;

export class EventPrinter {
  readonly #output: Output;
  readonly #isJson: boolean;
  readonly #shown = new ShownBlocks();
  readonly #tools = new Map<string, string>();
  #openLine: "text" | "thinking" | undefined;

  constructor(output: Output, isJson: boolean) {
    this.#output = output;
    this.#isJson = isJson;
  }

  /** Prints the next event of the log, as subscribeEvents() delivers it. */
  print(received: Event): void {
    const { event, takenBackBytes } = this.#shown.take(received);
    if (this.#isJson) {
      this.#output.line(toJsonString(EventSchema, event, { registry: jsonRegistry }));
      return;
    }
    if (takenBackBytes > 0) this.#line(`(the last ${takenBackBytes} bytes of this text were taken back)`);
    const { body } = event;
    switch (body.case) {
      case "textDelta":
        this.#stream("text", body.value.text);
        return;
      case "thinkingDelta":
        this.#stream("thinking", body.value.text);
        return;
      case "blockCompleted":
        this.#closeLine();
        return;
      case "messageReceived":
        this.#line(
          `> ${body.value.content.map(({ block }) => (block.case === "text" ? block.value.text : `[${block.case}]`)).join(" ")}`,
        );
        return;
      case "toolCallProposed":
        this.#tools.set(body.value.callId, body.value.tool);
        this.#line(`→ ${body.value.tool} ${JSON.stringify(body.value.arguments ?? {})}`);
        return;
      case "toolCallFinished": {
        const { callId, outcome, content } = body.value;
        const text = content
          .map(({ block }) => (block.case === "text" ? block.value.text : `[${block.case}]`))
          .join(" ");
        const shown = text.replace(/\s+/g, " ").trim();
        const cut = shown.length > maxResultCharacters ? `${shown.slice(0, maxResultCharacters)} …` : shown;
        const mark = outcome === ToolOutcome.SUCCEEDED ? "←" : `✗ ${ToolOutcomeSchema.value[outcome]?.localName ?? ""}`;
        this.#line(`${mark} ${this.#tools.get(callId) ?? callId} ${cut}`);
        this.#tools.delete(callId);
        return;
      }
      case "stepDiscarded":
        this.#line("(what this step had shown is void; it is made again)");
        return;
      case "modelWaiting": {
        const { waitMs, retry, of, reason } = body.value;
        const seconds = Math.ceil(Number(waitMs) / 1_000);
        this.#line(`(waiting for the model, ${seconds} s; retry ${retry} of ${of}: ${reason})`);
        return;
      }
      case "historyMended":
        this.#line(`(${body.value.reason})`);
        return;
      case "toolLeftOut":
        this.#line(`(the tool ${body.value.tool} was left out: ${body.value.reason})`);
        return;
      case "runResumed":
        this.#line(body.value.reason === "" ? "(taken up again)" : `(taken up again: ${body.value.reason})`);
        return;
      case "runFinished": {
        const { status, failure } = body.value;
        // Calls of a step that was discarded have no outcome.
        this.#tools.clear();
        if (status === RunStatus.COMPLETED) {
          this.#closeLine();
          return;
        }
        const name = RunStatusSchema.value[status]?.localName.toLowerCase() ?? "ended";
        this.#line(failure === undefined ? `(${name})` : `(${name}: ${failure.message})`);
        return;
      }
      case "historyTrimmed":
        this.#line(`(the first ${body.value.count} events of this log are gone: retention removed them)`);
        return;
      case "logTruncated":
        this.#line(`(events of this log are gone: ${body.value.reason})`);
        return;
      default:
        return;
    }
  }

  /** The log comes again from its beginning, or another one does: all of it is printed. */
  startOver(): void {
    this.#closeLine();
    this.#shown.clear();
  }

  #stream(kind: "text" | "thinking", text: string): void {
    if (this.#openLine !== kind) this.#closeLine();
    this.#openLine = kind;
    this.#output.write(kind === "text" ? plain(text) : this.#dim(plain(text)));
  }

  #line(text: string): void {
    this.#closeLine();
    this.#output.line(this.#dim(plain(text)));
  }

  #closeLine(): void {
    if (this.#openLine !== undefined) this.#output.line();
    this.#openLine = undefined;
  }

  #dim(text: string): string {
    return this.#output.isTerminal ? `\u001b[2m${text}\u001b[22m` : text;
  }
}
