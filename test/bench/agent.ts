/** An agent on its own credential, as the benchmark's loads use it. */
import type { Answer } from "../../schemas/answer.ts";
import type { Actor, Namespace, RunId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { DEMO_AUDIENCE, DEMO_ISS, issuePrincipalToken } from "../../services/identity/demo-issuer.ts";
import type { PlaneKeys } from "../../services/identity/keys.ts";
import type { SigningKey } from "../../services/identity/signing-key.ts";

/** Nobody waits longer for an answer: then it counts as missing. */
const PATIENCE_MS = 30_000;

interface Waiting {
  readonly onVerdict: () => void;
  readonly resolve: (answer: Answer | undefined) => void;
}

export class Agent {
  readonly name: Actor;
  readonly #ns: Namespace;
  readonly #publisher: Publisher;
  readonly #waiting = new Map<string, Waiting>();

  readonly #key: SigningKey;

  private constructor(nc: NatsConnection, ns: Namespace, name: Actor, key: SigningKey) {
    this.#key = key;
    this.name = name;
    this.#ns = ns;
    this.#publisher = new Publisher(nc, { timeoutMs: PATIENCE_MS });
    nc.subscribe(`${subjects.out(ns, name, "*").slice(0, -1)}>`, {
      callback: (error, message) => {
        if (error === null) this.#hear(JSON.parse(Buffer.from(message.data).toString()) as Answer);
      },
    });
    nc.subscribe(subjects.rejected(ns, name), {
      callback: (_, message) => console.error(`the plane refused ${Buffer.from(message.data).toString().slice(0, 600)}`),
    });
  }

  static async login(url: string, keys: PlaneKeys, ns: Namespace, name: Actor, key: SigningKey): Promise<Agent> {
    const issued = await issueCreds(keys, { role: "agent", name, ns });
    const nc = await connectBus({ url, name, creds: issued.creds, inboxPrefix: issued.inboxPrefix });
    const agent = new Agent(nc, ns, name, key);
    await nc.flush();
    return agent;
  }

  #hear(answer: Answer): void {
    const key = `${answer.run}/${answer.id ?? ""}`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    waiting.onVerdict();
    if (!answer.final) return;
    this.#waiting.delete(key);
    waiting.resolve(answer);
  }

  /** A token of the principal for a run: what the plane verifies is made anew for each. */
  token(run: RunId): string {
    return issuePrincipalToken(this.#key, { iss: DEMO_ISS, aud: DEMO_AUDIENCE, sub: `user-${run.length}`, agent: this.name, run, ttlSeconds: 3600 });
  }

  /** Sends a proposal, sees it stored, and waits for its last answer; undefined when none comes. */
  async propose(run: RunId, body: { readonly id: string; readonly [field: string]: unknown }, onVerdict: () => void = () => undefined, token?: string): Promise<Answer | undefined> {
    const key = `${run}/${body.id}`;
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
    this.#waiting.set(key, { onVerdict, resolve });
    await this.#publisher.publish(subjects.input(this.#ns, "propose", this.name, run), Buffer.from(JSON.stringify(body)), token === undefined ? {} : { "signalbox-principal": token });
    const answer = await promise;
    clearTimeout(timer);
    return answer;
  }
}
