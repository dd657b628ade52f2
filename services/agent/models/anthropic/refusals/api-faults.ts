/**
 * What went wrong at the Messages API, whatever shape the SDK gave it, and the failure that Atoll answers with.
 *
 * The API's own words are shown, because they say what to do (credit, limits, a wrong parameter); they are cut, made
 * visible and cleared of the key first.
 */
import type { ConnectError } from "@connectrpc/connect";
import { longestWaitMs } from "../../../../kernel/clock.ts";
import { ErrorReason, failure } from "../../../../kernel/errors.ts";
import { cutText, visibleText } from "../../../../kernel/visible-text.ts";
import { MalformedAnswer, StreamedError } from "../answer/malformed-answer.ts";

export interface ApiFault {
  /** The HTTP status, or what it would have been; 0 when there was none. */
  readonly status: number;
  /** The API's type of error, or what broke: `unreachable`, `cut`, `timeout`, `silent`, `malformed`. */
  readonly problem: string;
  /** The API's words; empty when it said nothing. */
  readonly message: string;
  /** How long the API asks to wait; undefined when it does not say. */
  readonly retryAfterMs: number | undefined;
  /** Whether asking again may help. */
  readonly retryable: boolean;
  readonly cause: unknown;
}

/** The SDK's error classes, handed in because the SDK is only loaded when a model is called. */
export interface SdkErrors {
  readonly APIError: typeof import("@anthropic-ai/sdk").APIError;
  readonly APIConnectionError: typeof import("@anthropic-ai/sdk").APIConnectionError;
  readonly APIConnectionTimeoutError: typeof import("@anthropic-ai/sdk").APIConnectionTimeoutError;
}

/** Statuses of the types that an `error` event in mid-stream can carry. */
const statusOfType: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

const longestMessageBytes = 512;

export function brokenStream(problem: "cut" | "timeout" | "silent", cause?: unknown): ApiFault {
  return { status: 0, problem, message: "", retryAfterMs: undefined, retryable: true, cause };
}

export function faultOf(error: unknown, sdk: SdkErrors, nowMs: number): ApiFault {
  if (error instanceof sdk.APIConnectionTimeoutError) return brokenStream("timeout", error);
  if (error instanceof sdk.APIConnectionError) return { ...brokenStream("cut", error), problem: "unreachable" };
  if (error instanceof MalformedAnswer) {
    return { ...brokenStream("cut", error), problem: "malformed", message: error.message };
  }
  if (error instanceof StreamedError) {
    const status = Object.hasOwn(statusOfType, error.type) ? (statusOfType[error.type] ?? 500) : 500;
    const { type: problem, message } = error;
    return { status, problem, message, retryAfterMs: undefined, retryable: isPassing(status), cause: error };
  }
  if (!(error instanceof sdk.APIError)) return brokenStream("cut", error);
  const type = error.type ?? "";
  const status = error.status ?? statusOfType[type] ?? 500;
  return {
    status,
    problem: type === "" ? `status ${status}` : type,
    message: error.apiMessage ?? "",
    retryAfterMs: retryAfterMs(error.headers, nowMs),
    retryable: saysRetry(error.headers) ?? isPassing(status),
    cause: error,
  };
}

/** Whether a status is the API's trouble of the moment, not the request's. */
function isPassing(status: number): boolean {
  return status === 0 || status === 408 || status === 409 || status === 429 || status >= 500;
}

/** `retry-after` in seconds or as a date, or the finer `retry-after-ms`. */
function retryAfterMs(headers: Headers | undefined, nowMs: number): number | undefined {
  const exactMs = Number.parseFloat(headers?.get("retry-after-ms") ?? "");
  if (exactMs >= 0) return Math.min(exactMs, longestWaitMs);
  const text = headers?.get("retry-after") ?? "";
  const seconds = Number(text);
  const waitMs = text !== "" && Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - nowMs;
  return waitMs >= 0 ? Math.min(waitMs, longestWaitMs) : undefined;
}

function saysRetry(headers: Headers | undefined): boolean | undefined {
  const said = headers?.get("x-should-retry");
  return said === "true" ? true : said === "false" ? false : undefined;
}

/**
 * The failure that the port promises.
 *
 * @param isOfHistory Whether the conversation is what the API refuses, and no mending helped.
 */
export function failureOf(fault: ApiFault, model: string, apiKey: string, isOfHistory = false): ConnectError {
  const words = tidy(fault.message, apiKey);
  const passes = isPassing(fault.status) || fault.retryable;
  const noRetry = passes && !fault.retryable ? { retry: "false" } : {};
  const metadata = { model, status: String(fault.status), problem: fault.problem, ...noRetry };
  const detail = { metadata, cause: fault.cause };
  const said = words === "" ? fault.problem : `${fault.problem}: ${words}`;
  if (fault.status === 404) {
    return failure(ErrorReason.MODEL_NOT_FOUND, `Anthropic knows no model ${model} (${said}).`, detail);
  }
  if (passes) {
    const retryAfter = fault.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(fault.retryAfterMs) };
    return failure(ErrorReason.MODEL_UNAVAILABLE, `${unavailableText(fault)} (${said}).`, { ...detail, ...retryAfter });
  }
  const way = isOfHistory ? " Reset or fork the session to go on." : "";
  return failure(ErrorReason.MODEL_REFUSED, `${refusedText(fault.status)} (${said}).${way}`, detail);
}

function unavailableText(fault: ApiFault): string {
  switch (fault.problem) {
    case "unreachable":
      return "Anthropic's API can't be reached; check the network and ANTHROPIC_BASE_URL";
    case "cut":
      return "The connection to Anthropic's API broke in mid-answer";
    case "timeout":
      return "Anthropic's API took longer than models.anthropic.timeoutMs allows";
    case "silent":
      return "Anthropic's API sent nothing for longer than models.anthropic.silenceMs allows";
    case "malformed":
      return "Anthropic's API sent something unreadable; check ANTHROPIC_BASE_URL";
    default:
      return fault.status === 429 ? "Anthropic's rate limit is reached" : "Anthropic's API is not available now";
  }
}

function refusedText(status: number): string {
  switch (status) {
    case 401:
    case 403:
      return "Anthropic's API does not accept the key; check ANTHROPIC_API_KEY";
    case 402:
      return "Anthropic's API wants the account's billing to be put right";
    case 413:
      return "The conversation is larger than Anthropic's API takes";
    default:
      return "Anthropic's API refused the request";
  }
}

/** The API's words, cut, visible and without the key. */
export function tidy(message: string, apiKey: string): string {
  const cleared = apiKey === "" ? message : message.replaceAll(apiKey, "[key]");
  return visibleText(cutText(cleared, longestMessageBytes)).replace(/\.$/, "");
}
