/** Checking the tokens that tools are called with (ID-4): offline, with the plane's public keys. */
import { readFile } from "node:fs/promises";
import { TOOL_HEADERS } from "../../schemas/dispatch.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { ToolToken } from "../../schemas/tool-token.ts";
import { type Jwks, type Seen, SeenTokens, type TokenUse, verifyToolToken } from "../identity/token-check.ts";

/**
 * The plane's public keys for tools, as `signalbox keys` prints them: themselves, or where they are (an `https:` or
 * `file:` URL, or a path). What is fetched is fetched again when a token names a key that it does not hold, but not
 * more often than every 30 seconds.
 */
export type ToolKeys = Jwks | URL | string;

export interface TokenOptions {
  readonly keys: ToolKeys;
  /** Remembers which tokens were used. Default: this process does; instances of one tool that share none may each be called once. */
  readonly seen?: Seen;
}

const FETCH_AGAIN_MS = 30_000;
const FETCH_TIMEOUT_MS = 5_000;

/** Checks calls of one tool. */
export class TokenVerifier {
  readonly #tool: string;
  readonly #ns: string;
  readonly #keys: ToolKeys;
  readonly #seen: Seen;
  #jwks: Jwks | undefined;
  #fetching: Promise<Jwks> | undefined;
  /** When a token made it fetch. */
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(ns: string, tool: string, options: ToolKeys | TokenOptions) {
    const { keys, seen } = isOptions(options) ? options : { keys: options, seen: undefined };
    this.#ns = ns;
    this.#tool = tool;
    this.#keys = keys;
    this.#seen = seen ?? new SeenTokens();
    if (isJwks(keys)) this.#jwks = keys;
  }

  /** Fetches the keys, so that a tool which cannot have them does not begin to serve. @throws Error with the place */
  async ready(): Promise<void> {
    this.#jwks ??= await this.#fetch();
  }

  /** The token's claims, or why the call must not be carried out. */
  async check(headers: ReadonlyMap<string, string>, body: Uint8Array, use?: TokenUse): Promise<{ readonly token: ToolToken } | { readonly refusal: Reason }> {
    const now = Date.now();
    const text = headers.get(TOOL_HEADERS.token);
    const verify = async () => verifyToolToken(text, { jwks: (this.#jwks ??= await this.#fetch()), tool: this.#tool, ns: this.#ns, body, now, seen: this.#seen, ...(use && { use }) });
    let checked = await verify();
    if ("refusal" in checked && checked.refusal.code === "token.key" && !isJwks(this.#keys) && now - this.#renewedAt > FETCH_AGAIN_MS) {
      this.#renewedAt = now;
      this.#jwks = await this.#fetch();
      checked = await verify();
    }
    if ("refusal" in checked) return checked;
    const wrong = strangeHeader(headers, checked.token);
    return wrong === undefined ? checked : { refusal: reason("token.headers", `the header \`${wrong}\` says another call than the token`) };
  }

  #fetch(): Promise<Jwks> {
    this.#fetching ??= fetchKeys(this.#keys).finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }
}

/** Handlers act on headers: what is not signed must at least not differ from what is. */
function strangeHeader(headers: ReadonlyMap<string, string>, token: ToolToken): string | undefined {
  const signed: Readonly<Record<string, string>> = {
    [TOOL_HEADERS.run]: token.run,
    [TOOL_HEADERS.action]: token.action,
    [TOOL_HEADERS.attempt]: String(token.attempt),
    [TOOL_HEADERS.digest]: token.digest,
    [TOOL_HEADERS.idempotencyKey]: `${token.run}.${token.action}`,
  };
  return Object.keys(signed).find((name) => headers.get(name) !== signed[name]);
}

async function fetchKeys(from: ToolKeys): Promise<Jwks> {
  if (isJwks(from)) return from;
  const url = typeof from === "string" && /^[a-z]{2,8}:\/\//i.test(from) ? new URL(from) : from;
  try {
    const text = url instanceof URL && url.protocol !== "file:" ? await download(url) : await readFile(url, "utf8");
    const value = JSON.parse(text) as unknown;
    if (!isJwks(value)) throw new Error("there is no key set");
    return value;
  } catch (cause) {
    throw new Error(`the plane's keys cannot be read from \`${String(from)}\``, { cause });
  }
}

async function download(url: URL): Promise<string> {
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new Error(`keys are not fetched by \`${url.protocol}\``);
  const answer = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS), redirect: "error" });
  if (!answer.ok) throw new Error(`the answer was \`${answer.status}\``);
  return answer.text();
}

function isOptions(value: ToolKeys | TokenOptions): value is TokenOptions {
  return typeof value === "object" && !(value instanceof URL) && "keys" in value && !Array.isArray(value.keys);
}

function isJwks(value: unknown): value is Jwks {
  return typeof value === "object" && value !== null && "keys" in value && Array.isArray(value.keys);
}
