/**
 * Claude through Anthropic's Messages API. This folder is the only door to @anthropic-ai/sdk (L8), and loads it with
 * the first call: it costs about 100 ms and 25 MB that a mesh without a key need not pay.
 *
 * The SDK makes the request; the answer is read here (read-answer.ts), and nothing is made again by the SDK or here when
 * a call fails: the step has one budget for that, which the loop keeps. A request that the API refuses for what is in it
 * is mended and made again (request-mender.ts), a bounded number of times.
 */
import type Anthropic from "@anthropic-ai/sdk";
import type { Clock } from "../../../kernel/clock.ts";
import { ErrorReason, failure } from "../../../kernel/errors.ts";
import type { Log } from "../../../kernel/log.ts";
import { untilAborted } from "../../until-aborted.ts";
import type { Model, ModelPart, ModelRequest } from "../model.ts";
import { readAnswer } from "./answer/read-answer.ts";
import { createEventReader, type EventReader } from "./answer/read-events.ts";
import { type SilenceWatch, watchSilence } from "./answer/watch-silence.ts";
import { type ApiFault, brokenStream, failureOf, faultOf, type SdkErrors, tidy } from "./refusals/api-faults.ts";
import { readOffence } from "./refusals/refusal-words.ts";
import { createRefusedTools } from "./refusals/refused-tools.ts";
import { RequestMender } from "./refusals/request-mender.ts";
import type { ModelAbilities } from "./request/known-abilities.ts";
import { createAbilityBook } from "./request/model-abilities.ts";
import { type PreparedRequest, prepareRequest } from "./request/request-body.ts";

export interface AnthropicSettings {
  /** Empty for none: then every call fails and says how to get one. */
  readonly apiKey: string;
  /** Empty for Anthropic's own address. */
  readonly baseUrl: string;
  /** Calls of a step after the first one that failed (Model.maxRetries). */
  readonly maxRetries: number;
  /** Milliseconds that a call may take in all. */
  readonly timeoutMs: number;
  /** Milliseconds without a byte, before the first one and between two, after which a call has failed; pings count. */
  readonly silenceMs: number;
}

export interface AnthropicModel extends Model {
  /** Why it can't be called, and what to do; empty when it can. */
  readonly problem: string;
  /** What is known of a model by now; asked for with its first call. */
  knownAbilities(model: string): ModelAbilities | undefined;
}

interface Sdk {
  readonly client: Anthropic;
  readonly errors: SdkErrors;
}

const ownAddress = "https://api.anthropic.com";
const noKey = "There is no Anthropic key: set ANTHROPIC_API_KEY, or use the model `offline`.";
/** As events and errors name it; the API knows it without its provider. */
function fullName({ model }: Pick<ModelRequest, "model">): string {
  return `anthropic/${model}`;
}

export function createAnthropicModel(
  settings: AnthropicSettings,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): AnthropicModel {
  const abilities = createAbilityBook({ clock, log });
  const refusedTools = createRefusedTools(clock);
  const problem = settings.apiKey === "" ? noKey : "";
  let sdk: Promise<Sdk> | undefined;

  async function* stream(request: ModelRequest): AsyncGenerator<ModelPart, void, undefined> {
    request.signal.throwIfAborted();
    if (problem !== "") {
      throw failure(ErrorReason.MODEL_REFUSED, problem, {
        metadata: { model: fullName(request), status: "401", problem: "authentication_error" },
      });
    }
    const deadline = new AbortController();
    const timer = clock.setTimer(settings.timeoutMs, () => deadline.abort(new Error("the call's time is up")));
    const signal = AbortSignal.any([request.signal, deadline.signal]);
    try {
      sdk ??= loadSdk(settings, log);
      const { client, errors } = await sdk;
      const known = await untilAborted(abilities.find(request.model, client), signal);
      const mender = new RequestMender(request, refusedTools);
      for (;;) {
        const asked = prepareRequest(mender.request(), { abilities: known, sendThinking: mender.sendThinking });
        const silence = watchSilence(clock, settings.silenceMs);
        let fault: ApiFault;
        let shown = false;
        try {
          for await (const part of ask(client, asked, { silence, mender, signal })) {
            shown = true;
            yield part;
          }
          if (shown) return;
          // The API took it; what was left out is tried again in smaller portions.
          continue;
        } catch (error) {
          request.signal.throwIfAborted();
          if (deadline.signal.aborted) fault = brokenStream("timeout", error);
          else if (silence.signal.aborted) fault = brokenStream("silent", error);
          else fault = faultOf(error, errors, clock.nowMs());
        } finally {
          silence.end();
        }
        const change = shown ? undefined : mender.refused(fault, asked, tidy(fault.message, settings.apiKey));
        if (change === undefined) {
          const isOfHistory = !shown && readOffence(fault, false).kind !== "other";
          throw failureOf(fault, fullName(request), settings.apiKey, isOfHistory);
        }
        log.warn({ ...about(request, fault), change }, "the API refused the request; it is mended and made again");
      }
    } catch (error) {
      request.signal.throwIfAborted();
      if (deadline.signal.aborted) throw failureOf(brokenStream("timeout", error), fullName(request), settings.apiKey);
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** The parts of one answer; none at all when it was asked for to find out what the API refuses. */
  async function* ask(
    client: Anthropic,
    { body, names }: PreparedRequest,
    call: { readonly silence: SilenceWatch; readonly mender: RequestMender; readonly signal: AbortSignal },
  ): AsyncGenerator<ModelPart, void, undefined> {
    const { silence, mender } = call;
    const signal = AbortSignal.any([call.signal, silence.signal]);
    const response = await client.messages
      .create(body, { signal, timeout: settings.timeoutMs, maxRetries: 0 })
      .asResponse();
    const reader = createEventReader(names);
    const parts = readAnswer(response, reader, { clock, silence });
    let isFirst = true;
    for await (const part of parts) {
      if (isFirst) {
        if (mender.accepted()) return;
        isFirst = false;
        yield* mender.parts();
      }
      yield part;
    }
    tell(reader, body.model);
    if (!reader.complete) throw new ConnectionCut("the answer ended too early");
  }

  const tell = ({ skippedBlocks, mendedBlocks }: EventReader, model: string): void => {
    if (skippedBlocks + mendedBlocks === 0) return;
    log.warn(
      { model, skippedBlocks, mendedBlocks },
      "the model sent blocks of unknown kinds, or left some in disorder",
    );
  };

  return { problem, maxRetries: settings.maxRetries, knownAbilities: abilities.known, stream };
}

class ConnectionCut extends Error {
  override readonly name = "ConnectionCut";
}

async function loadSdk(settings: AnthropicSettings, log: Log): Promise<Sdk> {
  const { Anthropic, APIConnectionError, APIConnectionTimeoutError, APIError } = await import("@anthropic-ai/sdk");
  const line =
    (level: "debug" | "warn" | "error") =>
    (message: string): void =>
      log[level]({ from: "@anthropic-ai/sdk" }, message);
  const client = new Anthropic({
    apiKey: settings.apiKey,
    // Both are always given, so that the SDK does not read the environment: configuration has one reader.
    baseURL: settings.baseUrl === "" ? ownAddress : settings.baseUrl,
    webhookKey: null,
    logLevel: "warn",
    logger: { debug: line("debug"), info: line("debug"), warn: line("warn"), error: line("error") },
    openTelemetry: { traces: false },
  });
  return { client, errors: { APIError, APIConnectionError, APIConnectionTimeoutError } };
}

function about(request: ModelRequest, { status, problem, cause }: ApiFault) {
  const { model, traceId } = request;
  return { model, traceId, status, problem, error: cause };
}
