/** A coordinator played by hand: a test says what is stored for each proposal, through the real streams. */
import type { Answer, Rejection } from "../../schemas/answer.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type Actor, type Namespace, type RunId } from "../../schemas/ids.ts";
import { parseStoredInput, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { readBody } from "../../services/bus/body.ts";
import type { HeaderMap } from "../../services/bus/headers.ts";
import { Intake } from "../../services/bus/intake.ts";
import { Publisher } from "../../services/bus/publisher.ts";

export interface Proposed {
  readonly agent: Actor;
  readonly run: RunId;
  readonly data: Uint8Array;
  readonly headers: HeaderMap;
  /** The body; undefined when it is unreadable. */
  readonly body: { readonly id?: string; readonly kind?: Answer["kind"]; readonly [key: string]: unknown } | undefined;
}

export type AnswerPart = Pick<Answer, "status" | "final" | "seq"> & Partial<Answer>;

export class PlayedCoordinator {
  /** Everything that came, oldest first. */
  readonly inputs: Proposed[] = [];
  /** What is done with the next proposals; default nothing. */
  onProposal: (proposed: Proposed) => void = () => undefined;
  readonly #ns: Namespace;
  readonly #publisher: Publisher;
  readonly #intake: Intake;
  #wake: (() => void)[] = [];

  private constructor(nc: NatsConnection, ns: Namespace, stream: "INBOX" | "CONTROL") {
    this.#ns = ns;
    this.#publisher = new Publisher(nc);
    this.#intake = new Intake(nc, { stream: streamName(stream, ns), consumer: "coordinator" });
  }

  static async start(nc: NatsConnection, ns: Namespace, stream: "INBOX" | "CONTROL" = "INBOX"): Promise<PlayedCoordinator> {
    const played = new PlayedCoordinator(nc, ns, stream);
    await played.#intake.start((messages) => {
      for (const message of messages) {
        const address = parseStoredInput(message.subject);
        if (address === undefined) throw new Error(`a strange input on \`${message.subject}\``);
        const body = readBody(message.data, message.headers.get("content-type"));
        const proposed: Proposed = {
          agent: address.actor as Actor,
          run: address.aggregate as RunId,
          data: message.data,
          headers: message.headers,
          body: body.ok ? (body.value as Exclude<Proposed["body"], undefined>) : undefined,
        };
        message.ack();
        played.inputs.push(proposed);
        played.onProposal(proposed);
        for (const wake of played.#wake.splice(0)) wake();
      }
    });
    return played;
  }

  /** Resolves with the first input that satisfies, whether it came or comes. */
  async input(wanted: (proposed: Proposed) => boolean): Promise<Proposed> {
    for (;;) {
      const found = this.inputs.find(wanted);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async answer(to: Proposed, part: AnswerPart): Promise<void> {
    const answer = { v: 1, run: to.run, id: to.body?.id ?? null, kind: to.body?.kind ?? "run", at: "2026-01-01T00:00:00.000Z", ...part };
    await this.#publisher.publish(subjects.out(this.#ns, to.agent, to.run), Buffer.from(JSON.stringify(answer)));
  }

  async reject(of: Proposed, code: string, more: Partial<Rejection> = {}): Promise<void> {
    const rejection: Rejection = {
      v: 1,
      at: "2026-01-01T00:00:00.000Z",
      actor: of.agent,
      kind: "propose",
      run: of.run,
      reasons: [{ code, message: "no" }],
      bytes: of.data.length,
      sha256: sha256Digest(of.data),
      count: 1,
      ...more,
    };
    await this.#publisher.publish(subjects.rejected(this.#ns, of.agent), Buffer.from(JSON.stringify(rejection)));
  }

  async stop(): Promise<void> {
    await this.#intake.stop();
    this.#publisher.close();
  }
}
