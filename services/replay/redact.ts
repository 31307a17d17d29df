/** Which events of an export are withheld, and how: asked for, or because a contract says so of its agent's runs. */
import type { Digest } from "../../schemas/ids.ts";
import type { DocumentFacts } from "../../schemas/facts.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, EventMalformed, type JournalEvent } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { type DocumentSource, Library } from "./documents.ts";
import type { Messages } from "./journal.ts";
import { shownOf } from "./shown.ts";
import { withhold, withheldOf } from "./withheld.ts";

/**
 * - `everything`: whatever anybody said, in runs and elsewhere.
 * - `contracts`: the same in runs under a contract whose `logging.pii_redaction` is true. A run is under the contract of
 *   its start and, from there on, under those that its actions were judged by: one that says so is enough.
 *   Erasures behind the beginning of such a run go with it: why somebody's data was erased tells of them.
 */
export type Redaction = "everything" | "contracts";

/** A message that is no event of ours, of which it cannot be told what may be shown: such a journal is exported whole or not at all. */
export class Unredactable extends Error {
  override readonly name = "Unredactable";
}

/**
 * The same messages, those with anything to hide withheld. An event in which nobody said anything stays as it is stored.
 * @throws Unredactable, ReadError
 */
export async function* redacted(messages: Messages, redaction: Redaction, documents: DocumentSource): AsyncGenerator<StoredMessage> {
  const contracts = new Library(documents);
  const hiding = new Set<string>();
  for await (const message of messages) {
    if (withheldOf(message) !== undefined) {
      // out of an export that withholds it already
      yield message;
      continue;
    }
    const event = eventOf(message);
    if (redaction === "contracts" && hiding.size > 0 && parseLog(message.subject)?.kind === "erasure") hiding.add(message.subject);
    if (redaction === "contracts" && !hiding.has(message.subject)) {
      const named = contractsOf(event);
      await contracts.fetch(named);
      // of a contract that cannot be read nobody knows what it says
      if (named.some((digest) => saysSo(contracts.agent(digest)))) hiding.add(message.subject);
    }
    if (redaction === "contracts" && !hiding.has(message.subject)) {
      yield message;
      continue;
    }
    const { body, cut } = shownOf(event.body);
    try {
      yield cut === 0 ? message : withhold(message, body);
    } catch (error) {
      throw error instanceof EventMalformed ? unredactable(error) : error;
    }
  }
}

function saysSo(contract: ReturnType<Library["agent"]>): boolean {
  return typeof contract === "string" || contract.logging?.pii_redaction === true;
}

function eventOf(message: StoredMessage): JournalEvent {
  try {
    return decodeEvent(message);
  } catch (error) {
    throw error instanceof EventMalformed ? unredactable(error) : error;
  }
}

function unredactable(cause: EventMalformed): Unredactable {
  return new Unredactable(`${cause.message}, so nobody can tell what of it may be shown`, { cause });
}

/** Contracts that the commit which begins with this event rests on. */
function contractsOf({ body }: JournalEvent): Digest[] {
  if (body.part[0] !== 1) return [];
  type Named = { readonly kind?: unknown; readonly documents?: DocumentFacts; readonly again?: Named };
  const facts = body.data["facts"] as Named | undefined;
  return [facts?.documents?.contract, facts?.again?.documents?.contract].flatMap((digest) => (typeof digest === "string" ? [digest] : []));
}
