/**
 * Tells servers of one's own again who is revoked: one that was away, or that was set back to an older file, would let
 * them in. Servers of a cluster do not tell each other. The same words are signed once, so that a server that knows
 * them has nothing to do.
 */
import { accountNameOf, type AccountToken, signEach } from "./accounts.ts";
import { knownNamespaces, openKeys } from "./keys.ts";
import { pushAccounts } from "./revoke.ts";
import { revocations } from "./revoked.ts";

const AGAIN_MS = 30_000;

export interface TellerOptions {
  readonly dataDir: string;
  readonly url: string;
  /** Said once for each kind of trouble in a row. */
  readonly onProblem: (message: string) => void;
  /** Default: half a minute. */
  readonly everyMs?: number;
}

export class RevocationTeller {
  readonly #options: TellerOptions;
  #signed: { readonly of: string; readonly accounts: readonly AccountToken[] } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> = Promise.resolve();
  #problem: string | undefined;

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /** Tells once, and then from time to time. Servers that cannot be told are a problem, not an error. */
  async start(): Promise<void> {
    await this.#tell();
    this.#timer = setInterval(() => void (this.#telling = this.#tell()), this.#options.everyMs ?? AGAIN_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling;
  }

  async #tell(): Promise<void> {
    const { dataDir, url, onProblem } = this.#options;
    try {
      const revoked = await revocations(dataDir);
      if (revoked.length === 0) return;
      const of = revoked.map(({ public_key }) => public_key).toSorted().join();
      // of all namespaces, because the accounts speak of each other
      const keys = await openKeys(dataDir, await knownNamespaces(dataDir));
      const names = [...new Set(revoked.map(accountNameOf))].toSorted();
      if (this.#signed?.of !== of) this.#signed = { of, accounts: await signEach(keys, names, revoked) };
      await pushAccounts(keys, url, this.#signed.accounts);
      this.#problem = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#problem) onProblem(`servers were not told who is revoked: ${message}`);
      this.#problem = message;
    }
  }
}
