/** Errors in the API's words. */
export interface ApiProblem {
  readonly status: number;
  readonly type: string;
  readonly message: string;
}

const typeOfStatus: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  504: "timeout_error",
  529: "overloaded_error",
};

export function problemOf(status: number, message: string, type?: string): ApiProblem {
  return { status, message, type: type ?? typeOfStatus[status] ?? "api_error" };
}

export function invalid(message: string): ApiProblem {
  return problemOf(400, message);
}

export function errorBody(problem: ApiProblem, requestId: string): string {
  const { type, message } = problem;
  return JSON.stringify({ type: "error", error: { type, message }, request_id: requestId });
}
