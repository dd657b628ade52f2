/**
 * Claude through Anthropic's Messages API. This folder is the only door to @anthropic-ai/sdk (L8), and loads it with
 * the first call: it costs about 100 ms and 25 MB that a mesh without a key need not pay.
 *
 * Raw stream events are read, not the SDK's accumulating stream: every token costs one event and one part. Retries are
 * ours, not the SDK's, which would sleep for as long as any server asks (L7), and only come before the first part.
 */
import type Anthropic from "@anthropic-ai/sdk";
import type { Clock } from "../../../kernel/clock.ts";
import { ErrorReason, failure } from "../../../kernel/errors.ts";
import type { Log } from "../../../kernel/log.ts";
import { untilAborted } from "../../until-aborted.ts";
import type { Model, ModelPart, ModelRequest } from "../model.ts";
import { afterFault } from "./after-fault.ts";
import { type ApiFault, brokenStream, failureOf, faultOf, type SdkErrors } from "./api-faults.ts";
import type { ModelAbilities } from "./choose-thinking.ts";
import { createAbilityBook } from "./model-abilities.ts";
import { createEventReader } from "./read-events.ts";
import { requestBody } from "./request-body.ts";
import { toolNameReader } from "./tool-names.ts";

export interface AnthropicSettings {
  /** Empty for none: then every call fails and says how to get one. */
  readonly apiKey: string;
  /** Empty for Anthropic's own address. */
  readonly baseUrl: string;
  /** Calls after the first one that failed before its first part. */
  readonly maxRetries: number;
  /** Milliseconds that a call may take in all, retries and their waits included. */
  readonly timeoutMs: number;
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

export function createAnthropicModel(
  settings: AnthropicSettings,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): AnthropicModel {
  const abilities = createAbilityBook({ clock, log });
  const problem = settings.apiKey === "" ? noKey : "";
  let sdk: Promise<Sdk> | undefined;

  async function* stream(request: ModelRequest): AsyncGenerator<ModelPart, void, undefined> {
    request.signal.throwIfAborted();
    if (problem !== "") {
      throw failure(ErrorReason.MODEL_REFUSED, problem, { metadata: { model: request.model, status: "401" } });
    }
    const deadline = new AbortController();
    const timer = clock.setTimer(settings.timeoutMs, () => deadline.abort(new Error("the call's time is up")));
    const signal = AbortSignal.any([request.signal, deadline.signal]);
    try {
      sdk ??= loadSdk(settings, log);
      const { client, errors } = await sdk;
      const known = await untilAborted(abilities.find(request.model, client), signal);
      let sendThinking = true;
      for (let retries = 0; ; ) {
        const body = requestBody(request, { abilities: known, sendThinking });
        let shown = false;
        let fault: ApiFault;
        try {
          const answer = await client.messages.create(body, { signal, timeout: settings.timeoutMs, maxRetries: 0 });
          const reader = createEventReader(toolNameReader(request.tools));
          for await (const event of answer) {
            for (const part of reader.read(event)) {
              shown = true;
              yield part;
            }
          }
          if (reader.skippedBlocks > 0) log.warn(about(request, reader), "the model sent blocks of unknown kinds");
          if (reader.complete) return;
          fault = brokenStream("cut");
        } catch (error) {
          fault = faultOf(error, errors, clock.nowMs());
        }
        signal.throwIfAborted();
        const sentThinking = sendThinking && hasThinking(request);
        const state = { retries, maxRetries: settings.maxRetries, shown, sentThinking };
        const next = afterFault(fault, state, Math.random());
        switch (next.step) {
          case "give-up":
            throw failureOf(fault, request.model, settings.apiKey);
          case "ask-without-thinking":
            sendThinking = false;
            log.warn(about(request, fault), "refused together with its earlier reasoning; asking again without it");
            break;
          case "wait":
            retries += 1;
            log.warn({ ...about(request, fault), retries, delayMs: next.delayMs }, "the call failed; trying again");
            await clock.sleep(next.delayMs, signal);
            break;
        }
      }
    } catch (error) {
      request.signal.throwIfAborted();
      if (deadline.signal.aborted) throw failureOf(brokenStream("timeout", error), request.model, settings.apiKey);
      throw error;
    } finally {
      timer.cancel();
    }
  }

  return { problem, knownAbilities: abilities.known, stream };
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

function hasThinking(request: ModelRequest): boolean {
  return request.messages.some((message) => message.content.some((block) => block.type === "thinking"));
}

function about(request: ModelRequest, facts: Partial<ApiFault> & { readonly skippedBlocks?: number }) {
  const { model, traceId } = request;
  const { status, problem, skippedBlocks, cause } = facts;
  return { model, traceId, status, problem, skippedBlocks, error: cause };
}
