/**
 * One-time links for the web page.
 *
 * Keeps: a code works once and for a short time; it stands in the fragment, which no server sees; the token that it gives
 * works only from the page's own origin. Keeps L7: open links are bounded, the oldest is forgotten first.
 */
import { randomBytes } from "node:crypto";
import type { Principal } from "../../kernel/auth/principal.ts";
import { type SignedTokens, tokenTtlS } from "../../kernel/auth/signed-tokens.ts";
import type { Clock } from "../../kernel/clock.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";

const maxOpenLinks = 1_000;

/** How long a link works when nobody says otherwise: a few minutes, because whoever sees it first is let in. */
export const linkTtlMs = 600_000;

/** A request that may be sent again (R1). */
export interface LinkRequest {
  /** Tenant, principal and request id, with spaces between. */
  readonly key: string;
  /** What was asked for. */
  readonly body: string;
}

export interface LinkAnswer {
  readonly url: string;
  readonly expiresAtMs: number;
}

interface OpenLink {
  readonly principal: Principal;
  readonly untilMs: number;
  readonly request: LinkRequest | undefined;
  readonly answer: LinkAnswer;
}

export class LinkDesk {
  readonly #tokens: SignedTokens;
  readonly #clock: Clock;
  readonly #publicUrl: () => string;
  readonly #open = new Map<string, OpenLink>();

  /** @param publicUrl Where people reach the mesh, without a slash at its end. */
  constructor(tokens: SignedTokens, clock: Clock, publicUrl: () => string) {
    this.#tokens = tokens;
    this.#clock = clock;
    this.#publicUrl = publicUrl;
  }

  /**
   * @param principal What the link gives. @param request Who asked under which id, and for what: asked again, the answer is the
   * same link, as long as it is open. Errors: REQUEST_ID_REUSED.
   */
  create(principal: Principal, ttlMs: number, request?: LinkRequest): LinkAnswer {
    const made = request === undefined ? undefined : this.#find(request);
    if (made !== undefined) return made.answer;
    if (this.#open.size >= maxOpenLinks) {
      const oldest = this.#open.keys().next();
      if (oldest.done === false) this.#open.delete(oldest.value);
    }
    const code = randomBytes(24).toString("base64url");
    const answer = { url: `${this.#publicUrl()}/#code=${code}`, expiresAtMs: this.#clock.nowMs() + ttlMs };
    this.#open.set(code, { principal, untilMs: this.#clock.monotonicMs() + ttlMs, request, answer });
    return answer;
  }

  #find({ key, body }: LinkRequest): OpenLink | undefined {
    const nowMs = this.#clock.monotonicMs();
    const made = [...this.#open.values()].find((link) => link.request?.key === key && link.untilMs > nowMs);
    if (made === undefined || made.request?.body === body) return made;
    throw failure(ErrorReason.REQUEST_ID_REUSED, "the request_id was used for another link; choose a new one", {
      metadata: { request_id: key.slice(key.lastIndexOf(" ") + 1), method: "atoll.admin.v1.AdminService/CreateLink" },
    });
  }

  /** Errors: LINK_INVALID; the reason is not told. */
  async redeem(
    code: string,
    origin: string | undefined,
  ): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const link = this.#open.get(code);
    this.#open.delete(code);
    if (link === undefined || link.untilMs <= this.#clock.monotonicMs() || origin === undefined) {
      throw failure(
        ErrorReason.LINK_INVALID,
        "the link was used already, has expired or is not one of ours: `npx --no atoll token --link` makes a new one",
      );
    }
    const token = await this.#tokens.sign("web", { ...link.principal, origin });
    return { token, expiresAtMs: this.#clock.nowMs() + tokenTtlS.web * 1000 };
  }
}
