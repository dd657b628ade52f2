/**
 * Changes a request that the API refused until it is taken (F2): a tool's definition, the newest block that offends,
 * reasoning, or length. What was changed is told once the API has taken it, never before.
 *
 * Keeps L7: as many requests as the step has left for it (ModelRequest.mending), whatever is mended.
 */
import { blockKey, mendMessages } from "../../mend-messages.ts";
import type {
  ImageBlock,
  Mend,
  ModelBlock,
  ModelMessage,
  ModelPart,
  ModelRequest,
  ModelTool,
  ThinkingBlock,
} from "../../model.ts";
import type { PreparedRequest } from "../request/request-body.ts";
import type { ApiFault } from "./api-faults.ts";
import { BlockProbe } from "./block-probe.ts";
import { type Offence, readOffence } from "./refusal-words.ts";
import type { RefusedTools } from "./refused-tools.ts";
import { shortenHistory } from "./shorten-history.ts";

/** A server whose tools were refused so often is left out as a whole, and so are pictures. */
const mostNamedOneByOne = 3;
/** A person's short words are no offence unless the API names them. */
const leastProbedBytes = 1_024;

export class RequestMender {
  readonly #request: ModelRequest;
  readonly #refusedTools: RefusedTools;
  readonly #mends = new Map<string, Mend>();
  readonly #reasons: string[] = [];
  readonly #leftOut = new Map<string, string>();
  #sendThinking = true;
  #wasThinkingRefused = false;
  #probe: BlockProbe | undefined;
  #namedPictures = 0;

  constructor(request: ModelRequest, refusedTools: RefusedTools) {
    this.#request = request;
    this.#refusedTools = refusedTools;
    for (const tool of request.tools) {
      const reason = refusedTools.reasonOf(tool);
      if (reason !== undefined) this.#leftOut.set(tool.name, reason);
    }
  }

  get sendThinking(): boolean {
    return this.#sendThinking;
  }

  /** The request as it is to be made now. */
  request(): ModelRequest {
    const mends = new Map(this.#mends);
    for (const mend of this.#probe?.tried ?? []) mends.set(mend.block, mend);
    const tools = this.#request.tools.filter(({ name }) => !this.#leftOut.has(name));
    return { ...this.#request, tools, messages: mendMessages(this.#request.messages, mends) };
  }

  /** Says how the request was changed, for the log; undefined when there is nothing to change, or no request left. */
  refused(fault: ApiFault, sent: PreparedRequest, words: string): string | undefined {
    const { mending } = this.#request;
    const requestsLeft = mending.left;
    if (requestsLeft <= 0) return undefined;
    mending.left -= 1;
    const sentThinking = this.#sendThinking && hasThinking(sent.history);
    const offence = readOffence(fault, sentThinking);
    if (this.#probe !== undefined && (offence.kind === "history" || offence.kind === "block")) {
      if (this.#probe.refused(requestsLeft)) return "other blocks left out";
      this.#probe = undefined;
      return undefined;
    }
    return this.#mend(offence, sent, words, sentThinking);
  }

  /** Says whether another request should be made instead of reading this answer: it would leave out less. */
  accepted(): boolean {
    const { mending } = this.#request;
    const narrows = this.#probe?.accepted(mending.left) ?? false;
    if (narrows) mending.left -= 1;
    return narrows;
  }

  /** What was changed, once it was taken. */
  parts(): readonly ModelPart[] {
    const tools = [...this.#leftOut].map(([tool, reason]): ModelPart => ({ kind: "tool-left-out", tool, reason }));
    const mends = [...this.#mends.values(), ...(this.#probe?.tried ?? [])];
    if (mends.length === 0 && !this.#wasThinkingRefused) return tools;
    const reason = this.#reasons.join(" ").slice(0, 1_024).toWellFormed();
    return [...tools, { kind: "mended", reason, mends, withoutThinking: this.#wasThinkingRefused }];
  }

  #mend(offence: Offence, sent: PreparedRequest, words: string, sentThinking: boolean): string | undefined {
    switch (offence.kind) {
      case "tool":
        return this.#leaveOutTool(sent.tools[offence.index], words);
      case "thinking":
        return this.#leaveOutThinking(words);
      case "too-long": {
        const mends = shortenHistory(sent.history, offence);
        for (const mend of mends) this.#mends.set(mend.block, mend);
        if (mends.length === 0) return undefined;
        this.#note("The conversation no longer fitted the model and was shortened.", words);
        return "shortened";
      }
      case "block": {
        const block = sent.history[offence.message]?.content[offence.content];
        return block === undefined ? undefined : this.#leaveOutBlock(block, offence.part, sent, words);
      }
      case "history": {
        // Newer models answer 400 to reasoning whose conversation changed in front of it (trimmed history, other tools).
        if (sentThinking) return this.#leaveOutThinking(words);
        const candidates = candidatesOf(sent.history, offence.pictures, words);
        if (candidates.length === 0) return undefined;
        this.#probe = new BlockProbe(candidates);
        this.#note("The model's API refused a part of the conversation; it was left out.", words);
        return "blocks left out";
      }
      case "other":
        return undefined;
    }
  }

  #leaveOutTool(tool: ModelTool | undefined, words: string): string | undefined {
    if (tool === undefined) return undefined;
    const server = (name: string): string => name.split(".", 1)[0] ?? name;
    const ofServer = [...this.#leftOut.keys()].filter((name) => server(name) === server(tool.name));
    const all = ofServer.length + 1 >= mostNamedOneByOne;
    const leftOut = all ? this.#request.tools.filter(({ name }) => server(name) === server(tool.name)) : [tool];
    const reason = `The model's API refused the tool's definition: ${words}`.slice(0, 1_024);
    for (const each of leftOut) {
      this.#leftOut.set(each.name, reason);
      this.#refusedTools.add(each, reason);
    }
    return `without ${leftOut
      .map(({ name }) => name)
      .join(", ")
      .slice(0, 500)}`;
  }

  #leaveOutThinking(words: string): string | undefined {
    if (!this.#sendThinking) return undefined;
    this.#sendThinking = false;
    this.#wasThinkingRefused = true;
    this.#note("The model's API refused earlier reasoning; it is not sent any more.", words);
    return "asking again without it";
  }

  #leaveOutBlock(
    block: ModelBlock,
    part: number | undefined,
    sent: PreparedRequest,
    words: string,
  ): string | undefined {
    if (block.type === "thinking") return this.#leaveOutThinking(words);
    const named = block.type === "tool_result" && part !== undefined ? block.content[part] : undefined;
    const pictures = block.type === "tool_result" ? block.content.filter(({ type }) => type === "image") : [];
    const targets: SentBlock[] = named !== undefined ? [named] : pictures.length > 0 ? [...pictures] : [block];
    if (targets.some(({ type }) => type === "image")) {
      this.#namedPictures += 1;
      if (this.#namedPictures >= mostNamedOneByOne) targets.push(...picturesOf(sent.history));
    }
    let isNew = false;
    for (const target of targets) {
      const mend = leftOut(target, words);
      if (mend === undefined || this.#mends.has(mend.block)) continue;
      this.#mends.set(mend.block, mend);
      isNew = true;
    }
    if (!isNew) return undefined;
    this.#note("The model's API refused a part of the conversation; it was left out.", words);
    return "the block that it named left out";
  }

  #note(what: string, words: string): void {
    const said = words === "" ? what : `${what.slice(0, -1)} (${words}).`;
    if (!this.#reasons.includes(said)) this.#reasons.push(said);
  }
}

function hasThinking(history: readonly ModelMessage[]): boolean {
  return history.some(({ content }) => content.some(({ type }) => type === "thinking"));
}

function picturesOf(history: readonly ModelMessage[]): ImageBlock[] {
  const blocks = history.flatMap(({ content }) => content);
  const parts = blocks.flatMap((block): readonly ModelBlock[] =>
    block.type === "tool_result" ? block.content : [block],
  );
  return parts.filter((part) => part.type === "image");
}

/** Newest first; where the API spoke of pictures, these before all others. */
function candidatesOf(history: readonly ModelMessage[], pictures: boolean, words: string): Mend[] {
  const blocks = history
    .toReversed()
    .flatMap(({ content }) =>
      content
        .toReversed()
        .flatMap((block): ModelBlock[] =>
          block.type === "tool_result" ? [...block.content.filter(({ type }) => type === "image"), block] : [block],
        ),
    );
  const likely = blocks.filter((block) => block.type !== "text" || Buffer.byteLength(block.text) >= leastProbedBytes);
  const ordered = pictures
    ? [...likely.filter(({ type }) => type === "image"), ...likely.filter(({ type }) => type !== "image")]
    : likely;
  const mends = ordered.map((block) => leftOut(block, words)).filter((mend) => mend !== undefined);
  return [...new Map(mends.map((mend) => [mend.block, mend])).values()].slice(0, 256);
}

const names = { text: "A text", image: "A picture", tool_use: "Arguments", tool_result: "An answer" } as const;

/** A block, or a part of a result. */
type SentBlock = Exclude<ModelBlock, ThinkingBlock>;

function leftOut(block: ModelBlock, words: string): Mend | undefined {
  const key = blockKey(block);
  if (key === undefined || block.type === "thinking") return undefined;
  const because = words === "" ? "" : `: ${words}`;
  const note = `(${names[block.type]} stood here that the model's API refused${because}.)`;
  return { block: key, note: note.slice(0, 1_024).toWellFormed(), keepBytes: 0 };
}
