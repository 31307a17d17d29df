/**
 * A credential that may be another at the next connect: a `.creds` file is renewed beside the program that uses it. The
 * client asks for it anew at every connect, so that a connection that ended with its credential comes back with the fresh one.
 */
import { type Authenticator, credsAuthenticator, ErrorCode, NatsError } from "nats";

/** Contents of a `.creds` file, or how to get them now. A function that throws leaves the last contents in use. */
export type CredentialSource = string | Uint8Array | (() => string | Uint8Array);

/** How long a connect is waited for after a refusal, ms: the file may be renewed any moment, the server is spared. */
const AFTER_REFUSAL_MS = 2_000;
const RECONNECT_MS = 250;
/** So many refusals of one and the same credential are an answer. */
const ENOUGH = 2;

const TEXT = new TextDecoder();

export class Credential {
  readonly #source: CredentialSource;
  #last: string | undefined;
  #refusals = 0;

  constructor(source: CredentialSource) {
    this.#source = source;
  }

  /** Whether there may be another later. */
  get renewable(): boolean {
    return typeof this.#source === "function";
  }

  /** What the client signs a connect with. Throws, which ends the connection, for what the server has refused for good. */
  readonly authenticator: Authenticator = (nonce) => {
    const creds = this.#read();
    const same = creds === this.#last;
    this.#last = creds;
    if (!same) this.#refusals = 0;
    else if (this.#refusals >= ENOUGH && !hasEnded(creds)) throw NatsError.errorForCode(ErrorCode.AuthorizationViolation);
    return credsAuthenticator(new TextEncoder().encode(creds))(nonce);
  };

  /** Milliseconds until the next try. */
  readonly delay = (): number => (this.#refusals > ENOUGH ? AFTER_REFUSAL_MS : RECONNECT_MS);

  /** The server answered a connect with no. */
  refused(): void {
    this.#refusals += 1;
  }

  /** The server took it. */
  accepted(): void {
    this.#refusals = 0;
  }

  #read(): string {
    if (typeof this.#source !== "function") return textOf(this.#source);
    try {
      return textOf(this.#source());
    } catch (error) {
      if (this.#last === undefined) throw error;
      return this.#last;
    }
  }
}

function textOf(creds: string | Uint8Array): string {
  return typeof creds === "string" ? creds : TEXT.decode(creds);
}

/** Machines' clocks differ by less, ms. */
const SKEW_MS = 60_000;

/** By this machine's clock: only such a credential is worth waiting for another of. */
function hasEnded(creds: string): boolean {
  const claims = /-----BEGIN NATS USER JWT-----\s*[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\./.exec(creds)?.[1];
  try {
    const { exp } = JSON.parse(Buffer.from(claims ?? "", "base64url").toString("utf8")) as { exp?: number };
    return exp !== undefined && exp * 1000 <= Date.now() + SKEW_MS;
  } catch {
    return false;
  }
}
