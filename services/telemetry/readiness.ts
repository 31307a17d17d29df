/**
 * Which roles of this process are ready: not that they were started, but that each can do its work now. Asked, not
 * watched: whoever wants to know pays for the look.
 */
import type { Namespace } from "../../schemas/ids.ts";

export interface RoleReadiness {
  readonly role: string;
  /** Roles that serve all namespaces at once name none. */
  readonly ns?: Namespace;
  readonly ready: boolean;
  /** Why not. */
  readonly why?: string;
}

/** @returns why it cannot work now; undefined when it can @throws is a reason too */
export type Check = (timeoutMs: number) => Promise<string | undefined>;

interface Expected {
  readonly role: string;
  readonly ns: Namespace | undefined;
  check: Check | undefined;
}

const STARTING = "starting";
const STOPPING = "stopping";

export class Readiness {
  readonly #expected: Expected[] = [];
  #stopping = false;

  /** Of one that nobody has started yet, and that is missed. */
  expect(role: string, ns?: Namespace): void {
    if (this.#find(role, ns) === undefined) this.#expected.push({ role, ns, check: undefined });
  }

  /** It has taken over what it found; from now on `check` says whether it still works. */
  began(role: string, ns: Namespace | undefined, check: Check): void {
    this.expect(role, ns);
    const found = this.#find(role, ns);
    if (found !== undefined) found.check = check;
  }

  /** Said before any work stops, so that nobody counts on what is about to end. */
  stopping(): void {
    this.#stopping = true;
  }

  /** All that are expected, in the order in which they were. Takes at most about `timeoutMs`. */
  look(timeoutMs: number): Promise<RoleReadiness[]> {
    return Promise.all(
      this.#expected.map(async ({ role, ns, check }): Promise<RoleReadiness> => {
        const why = this.#stopping ? STOPPING : check === undefined ? STARTING : await whyNot(check, timeoutMs);
        // it may have been told to stop while it was looked at
        const reason = this.#stopping ? STOPPING : why;
        return { role, ...(ns !== undefined && { ns }), ready: reason === undefined, ...(reason !== undefined && { why: reason }) };
      }),
    );
  }

  #find(role: string, ns: Namespace | undefined): Expected | undefined {
    return this.#expected.find((one) => one.role === role && one.ns === ns);
  }
}

async function whyNot(check: Check, timeoutMs: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => (timer = setTimeout(() => resolve(`it has not answered for ${timeoutMs} ms`), timeoutMs + GRACE_MS)));
  try {
    return await Promise.race([check(timeoutMs), late]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}

/** A check that has a reason of its own gets to say it. */
const GRACE_MS = 100;
