/**
 * What a tool is called with besides its input (ID-4): a token for exactly this attempt of exactly this action, which
 * the tool checks offline with the gateway's published key. It ends with the call's deadline and is good once.
 *
 * Signing and checking are done with the platform's Ed25519: one algorithm and one form, so there is nothing to choose
 * and nothing to confuse. Any library for JWTs checks it as well.
 */
import { randomUUID } from "node:crypto";
import type { Principal } from "../../schemas/facts.ts";
import { type ActionId, type Actor, type Digest, type Namespace, type RunId, startingAgent, type ToolName } from "../../schemas/ids.ts";
import type { ToolToken } from "../../schemas/tool-token.ts";
import type { SigningKey } from "./signing-key.ts";
import { audienceOf, digestOf, issuerOf, type TokenUse } from "./token-check.ts";

export { type Seen, SeenTokens, type TokenCheck, verifyToolToken } from "./token-check.ts";

/** The call that a token is for. */
export interface TokenCall {
  readonly run: RunId;
  readonly action: ActionId;
  readonly attempt: number;
  readonly tool: ToolName;
  /** The call's body, as sent. */
  readonly body: Uint8Array;
  /** Of the action document. */
  readonly digest: Digest;
  /** Named as the subject when somebody verified it; else the agent is. */
  readonly principal: Principal | null;
  /** Default: who started the run. */
  readonly agent?: Actor;
  /** Until nobody waits for the answer any more. */
  readonly ttlMs: number;
  /** Default: `tool`, the call itself. */
  readonly use?: TokenUse;
}

/** Mints tokens for calls of one namespace's tools; held by gateways alone. */
export class ToolTokens {
  readonly #key: SigningKey;
  readonly #ns: Namespace;

  constructor(key: SigningKey, ns: Namespace) {
    this.#key = key;
    this.#ns = ns;
  }

  /** A token that no other is like, also for the same attempt. @param now ms since 1970 */
  mint(call: TokenCall, now: number = Date.now()): string {
    const { run, action, attempt, tool, body, digest, principal, agent = startingAgent(run), ttlMs, use } = call;
    const claims: ToolToken = {
      iss: issuerOf(this.#ns),
      aud: audienceOf(tool, use),
      sub: principal?.verified === true ? `${principal.issuer ?? ""}|${principal.subject}` : `agent:${agent}`,
      jti: randomUUID(),
      iat: Math.floor(now / 1000),
      exp: Math.ceil((now + ttlMs) / 1000),
      ns: this.#ns,
      run,
      action,
      attempt,
      tool,
      input: digestOf(body),
      digest,
    };
    return this.#key.token(claims);
  }
}
