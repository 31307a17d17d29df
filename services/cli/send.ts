/** Sends an input and waits for what the plane makes of it. */
import { randomBytes } from "node:crypto";
import { type Rejection, rejectionSchema } from "../../schemas/answer.ts";
import type { EventBody } from "../../schemas/event.ts";
import { type Actor, type AggregateKind } from "../../schemas/ids.ts";
import type { Reason } from "../../schemas/reason.ts";
import { aggregateToken, type InputKind, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import { PublishError, Publisher } from "../bus/publisher.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Session } from "./session.ts";

export type Outcome = { readonly event: EventBody } | { readonly rejection: Rejection };

export interface Sending {
  readonly kind: InputKind;
  readonly aggregate: { readonly kind: AggregateKind; readonly name: string };
  readonly body: { readonly id: string } & Readonly<Record<string, unknown>>;
  /** Where its events are heard. */
  readonly hear: string;
}

const OUTCOME_TIMEOUT_MS = 10_000;

/** An id that nobody used before. */
export function freshId(): string {
  return `cli-${Date.now().toString(36)}-${randomBytes(5).toString("hex")}`;
}

/** @throws CliError when the plane does not take it, or says nothing in time */
export async function send(session: Session, sending: Sending): Promise<Outcome> {
  const { nc, ns } = session;
  const name = session.name as Actor;
  const outcome = Promise.withResolvers<Outcome>();
  const heard = nc.subscribe(sending.hear, {
    callback: (error, message) => {
      if (error !== null) return outcome.reject(denied(session, error));
      const event = eventOf(message.data);
      const { cause } = event ?? {};
      if (event && cause?.kind === sending.kind && cause.actor === name && cause.id === sending.body.id) outcome.resolve({ event });
    },
  });
  const refused = nc.subscribe(subjects.rejected(ns, name), {
    callback: (error, message) => {
      if (error !== null) return outcome.reject(denied(session, error));
      const rejection = rejectionOf(message.data);
      if (rejection?.id === sending.body.id && rejection.kind === sending.kind) outcome.resolve({ rejection });
    },
  });
  const timer = setTimeout(
    () =>
      outcome.reject(
        new CliError(EXIT.failed, "the plane stored the input and has not answered it", "the role `coordinator` must run; what was stored will be handled when it does"),
      ),
    OUTCOME_TIMEOUT_MS,
  );
  outcome.promise.catch(() => undefined);
  const publisher = new Publisher(nc);
  try {
    await nc.flush();
    const subject = subjects.input(ns, sending.kind, name, aggregateToken(sending.aggregate.kind, sending.aggregate.name));
    await publisher.publish(subject, Buffer.from(JSON.stringify(sending.body)), { "content-type": "application/json" }).catch((error: unknown) => {
      throw notStored(session, error);
    });
    return await outcome.promise;
  } finally {
    clearTimeout(timer);
    publisher.close();
    heard.unsubscribe();
    refused.unsubscribe();
  }
}

export function notStored(session: Session, error: unknown): unknown {
  if (!(error instanceof PublishError)) return error;
  if (error.kind === "unavailable") return new CliError(EXIT.unreachable, `the plane does not take inputs: ${error.message}`, "`signalbox doctor` looks further");
  if (error.inDoubt) {
    return new CliError(EXIT.failed, `nobody knows whether it was stored: ${error.message}`, `\`${session.login.context}\` may lack the right to send it; repeat it with the same id, which is safe`);
  }
  if (/permission|credential/i.test(error.message)) return denied(session, error);
  return new CliError(EXIT.rejected, `the plane did not store it: ${error.message}`);
}

function denied(session: Session, error: { message: string }): CliError {
  return new CliError(EXIT.denied, `\`${session.login.context}\` (${session.role}) may not do this: ${error.message.toLowerCase()}`, "choose another context with `--as`");
}

/** Undefined when it is none. */
export function eventOf(data: Uint8Array): EventBody | undefined {
  try {
    return decodeEvent({ subject: "", seq: 0, time: 0, headers: new Map(), data }).body;
  } catch {
    return undefined;
  }
}

export function rejectionOf(data: Uint8Array): Rejection | undefined {
  try {
    return rejectionSchema.parse(JSON.parse(Buffer.from(data).toString("utf8")));
  } catch {
    return undefined;
  }
}

/** Ends the command with the first reason, and lists the others under it. */
export function refusedBy(reasons: readonly Reason[], exit: 3 | 4 = EXIT.rejected): CliError {
  const [first, ...others] = reasons.map(({ code, message, path }) => `${code}: ${message}${path ? ` (at \`${path}\`)` : ""}`);
  return new CliError(exit, [first ?? "refused", ...others].join("\n       "), reasons.find(({ help }) => help !== undefined)?.help);
}
