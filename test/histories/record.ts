/**
 * Writes the journals of all scenarios, as this version of the machines seals them, to `v<version>/`. Run by hand:
 *
 *     node test/histories/record.ts            new files only: what was recorded stays as it is
 *     node test/histories/record.ts --again    all of them; never for a version that was released
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { emptyDocument, decideDocument, evolveDocument } from "../../machines/registry.ts";
import { decide } from "../../machines/decide.ts";
import { evolve } from "../../machines/state.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import type { Cause, EventDraft, Premise } from "../../schemas/event.ts";
import type { AppliedFacts } from "../../schemas/facts.ts";
import { timestamp } from "../../schemas/time.ts";
import { type Aggregate, EMPTY_CHAIN, type SealedEvent, seal } from "../../services/bus/commit.ts";
import { fresh, NS, RUN, T0, type Told } from "../machines/given.ts";
import { program, runProgram } from "../machines/programs.ts";
import { type History, historyFile, historyFolder } from "./history.ts";
import { SCENARIOS } from "./scenarios.ts";

/** Seals commits one after the other, as a coordinator would. */
class Journal {
  readonly events: SealedEvent[] = [];
  readonly #aggregate: Aggregate;
  #head = EMPTY_CHAIN;

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate;
  }

  add(drafts: readonly EventDraft[], at: string, cause: Cause, premise: Premise): void {
    const sealed = seal(this.#aggregate, this.#head, { drafts, at, machine: CURRENT_VERSION, cause, premise });
    this.#head = sealed.head;
    this.events.push(...sealed.events);
  }

  addTold({ input, facts }: Told, drafts: readonly EventDraft[], at: string): void {
    const { id, kind, actor, time, traceparent, hash, body } = input;
    const cause: Cause = { id, kind, actor, time, ...(traceparent !== undefined && { traceparent }) };
    this.add(drafts, at, cause, { input: body as never, input_hash: hash, facts });
  }
}

const again = process.argv.includes("--again");
mkdirSync(historyFolder(CURRENT_VERSION), { recursive: true });
function write(name: string, { events }: Journal): void {
  const file = historyFile(CURRENT_VERSION, name);
  if (existsSync(file) && !again) return;
  const history: History = { name, machine: CURRENT_VERSION, subject: events[0]?.subject ?? "", events: events.map(({ data }) => Buffer.from(data).toString("base64")) };
  writeFileSync(file, `${JSON.stringify(history, null, 1)}\n`);
}

for (const [name, lines] of Object.entries(SCENARIOS)) {
  const state = fresh();
  const journal = new Journal({ ns: NS, kind: "run", name: RUN });
  let time = T0;
  for (const { waitMs, tell } of lines) {
    time += waitMs;
    const told = tell(state, timestamp(time));
    const decision = decide(state, told.input, told.facts);
    if (decision.kind !== "commit") throw new Error(`${name}: ${told.input.id} is not taken: ${JSON.stringify(decision)}`);
    journal.addTold(told, decision.drafts, decision.change.at);
    evolve(state, decision.change);
  }
  write(name, journal);
}

// nobody's idea of what matters: the longest of many random programs
const walks = fc.sample(program, { seed: 20260131, numRuns: 200 }).map((steps) => [...runProgram(steps)].filter(({ decision }) => decision.kind === "commit"));
walks.sort((a, b) => b.length - a.length);
for (const [index, walk] of walks.slice(0, 3).entries()) {
  const journal = new Journal({ ns: NS, kind: "run", name: RUN });
  for (const { told, decision } of walk) if (decision.kind === "commit") journal.addTold(told, decision.drafts, decision.change.at);
  write(`random-${index + 1}`, journal);
}

for (const [kind, name] of [["tool", "crm.update"], ["agent", "agent-1"], ["policy", "default"]] as const) {
  const state = emptyDocument(NS, kind, name, CURRENT_VERSION);
  const journal = new Journal({ ns: NS, kind, name });
  for (const [index, text] of ["one", "two", "one"].entries()) {
    const body = { id: `apply-${index}`, document: sha256Digest(text) };
    const facts: AppliedFacts = { kind: "applied", faults: [] };
    const input = { actor: "op", ...body, hash: canonicalDigest(body), time: timestamp(T0 + index) };
    const decision = decideDocument(state, input, facts);
    if (decision.kind !== "commit") throw new Error(`${kind}: ${index} is not taken`);
    const cause: Cause = { id: input.id, kind: "apply", actor: "op", time: input.time };
    journal.add(decision.drafts, decision.change.at, cause, { input: body, input_hash: input.hash, facts });
    evolveDocument(state, decision.change);
  }
  write(`document-${kind}`, journal);
}
