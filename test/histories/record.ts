/**
 * Writes the journals of all scenarios, as this version of the machines seals them, to `v<version>/`. Run by hand:
 *
 *     node test/histories/record.ts            new files only: what was recorded stays as it is
 *     node test/histories/record.ts --again    all that `digests.json` does not list; what it lists is not written again
 *
 * Then `node test/histories/digests.ts` lists what is new, before it is checked in.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { emptyDocument, decideDocument, evolveDocument } from "../../machines/registry.ts";
import { decide } from "../../machines/decide.ts";
import { decideErasure, emptyErasure, evolveErasure } from "../../machines/erasure.ts";
import { decideGuard, emptyGuard, evolveGuard } from "../../machines/guard.ts";
import { decideLedger, emptyLedger, evolveLedger } from "../../machines/ledger.ts";
import { decideSegments, emptySegments, evolveSegments } from "../../machines/segments.ts";
import { evolve } from "../../machines/state.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import type { Cause, EventDraft, Premise } from "../../schemas/event.ts";
import type { AppliedFacts, ErasureFacts, GuardFacts, LedgerFacts, SegmentsFacts } from "../../schemas/facts.ts";
import type { LedgerName } from "../../schemas/ids.ts";
import type { GuardControl, RecordedErasure, SegmentsControl, SegmentsSignal, SignalInput } from "../../schemas/inputs.ts";
import type { KeyId, Pseudonym } from "../../schemas/sealed.ts";
import { timestamp } from "../../schemas/time.ts";
import { type Aggregate, EMPTY_CHAIN, type SealedEvent, seal } from "../../services/bus/commit.ts";
import { chainAfter, chained } from "../../services/replay/fold.ts";
import { CHANGE_RUN, fresh, NS, personOf, RUN, T0, type Told } from "../machines/given.ts";
import { program, runProgram } from "../machines/programs.ts";
import { digestsListed } from "./digests.ts";
import { type History, historyFile, historyFolder } from "./history.ts";
import { CHANGES, SCENARIOS } from "./scenarios.ts";

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

  addTold({ input, facts }: Told, drafts: readonly EventDraft[], at: string, chain: readonly string[] | undefined): void {
    const { id, kind, actor, time, traceparent, hash, body } = input;
    const cause: Cause = { id, kind, actor, time, ...(traceparent !== undefined && { traceparent }) };
    this.add(drafts, at, chained(cause, chain), { input: body as never, input_hash: hash, facts });
  }
}

const listed = new Set(Object.keys(digestsListed()));
const again = process.argv.includes("--again");
mkdirSync(historyFolder(CURRENT_VERSION), { recursive: true });
function write(name: string, { events }: Journal): void {
  const file = historyFile(CURRENT_VERSION, name);
  if (existsSync(file) && (!again || listed.has(`v${CURRENT_VERSION}/${name}.json`))) return;
  const history: History = { name, machine: CURRENT_VERSION, subject: events[0]?.subject ?? "", events: events.map(({ data }) => Buffer.from(data).toString("base64")) };
  writeFileSync(file, `${JSON.stringify(history, null, 1)}\n`);
}

for (const [run, scenarios] of [[RUN, SCENARIOS], [CHANGE_RUN, CHANGES]] as const) {
  for (const [name, lines] of Object.entries(scenarios)) {
    const state = fresh(run);
    const journal = new Journal({ ns: NS, kind: "run", name: run });
    let time = T0;
    for (const { waitMs, tell } of lines) {
      time += waitMs;
      const told = tell(state, timestamp(time));
      const decision = decide(state, told.input, told.facts);
      if (decision.kind !== "commit") throw new Error(`${name}: ${told.input.id} is not taken: ${JSON.stringify(decision)}`);
      journal.addTold(told, decision.drafts, decision.change.at, chainAfter(state, decision.change));
      evolve(state, decision.change);
    }
    write(name, journal);
  }
}

// nobody's idea of what matters: the longest of many random programs
const walks = fc.sample(program, { seed: 20260131, numRuns: 200 }).map((steps) => {
  const journal = new Journal({ ns: NS, kind: "run", name: RUN });
  for (const { told, decision, chain } of runProgram(steps)) if (decision.kind === "commit") journal.addTold(told, decision.drafts, decision.change.at, chain);
  return journal;
});
walks.sort((a, b) => b.events.length - a.events.length);
for (const [index, journal] of walks.slice(0, 3).entries()) write(`random-${index + 1}`, journal);

const DOCUMENTS = [["tool", "crm.update"], ["agent", "agent-1"], ["policy", "default"], ["person", "ann"], ["issuer", "id"], ["budget", "team.a"]] as const;
for (const [kind, name] of DOCUMENTS) {
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

const ledger = { ns: NS, kind: "ledger", name: "team.a.2026-01-31" } as const;
{
  const state = emptyLedger(NS, ledger.name as LedgerName, CURRENT_VERSION);
  const journal = new Journal(ledger);
  const account = { ledger: state.name, unit: "cost", window: "2026-01-31" } as const;
  const signals: [string, SignalInput][] = [
    ["agent-1_r1", { name: "lease", id: "l4.1", ...account, need: 60, want: 80 }],
    ["agent-1_r2", { name: "lease", id: "l4.1", ...account, need: 30, want: 80 }],
    ["agent-1_r1", { name: "return", id: "r9.1", ...account, unused: 20, last: false }],
    ["agent-1_r2", { name: "lease", id: "l8.1", ...account, need: 30, want: 80 }],
    ["agent-1_r2", { name: "return", id: "r12.1", ...account, unused: 40, last: true }],
  ];
  for (const [index, [actor, body]] of signals.entries()) {
    const input = { actor, id: body.id, hash: canonicalDigest(body), time: timestamp(T0 + index), body };
    const facts: LedgerFacts = { kind: "ledger", cap: 100 };
    const decision = decideLedger(state, input, facts);
    if (decision.kind !== "commit") throw new Error(`ledger: ${body.id} is not taken: ${JSON.stringify(decision)}`);
    const cause: Cause = { id: input.id, kind: "signal", actor, time: input.time };
    journal.add(decision.drafts, decision.change.at, cause, { input: body as never, input_hash: input.hash, facts });
    evolveLedger(state, decision.change);
  }
  write("ledger", journal);
}
{
  const state = emptyGuard(NS, "stops", CURRENT_VERSION);
  const journal = new Journal({ ns: NS, kind: "guard", name: "stops" });
  const controls: [string, GuardControl][] = [
    ["op", { verb: "stop", id: "g1", scope: "agent:agent-1", reason: "it went wild" }],
    ["op", { verb: "revoke", id: "g2", scope: "person:ann", reason: "left" }],
    ["pat", { verb: "lift", id: "g3", stop: "s1" as never, reason: "mended" }],
  ];
  for (const [index, [actor, body]] of controls.entries()) {
    const input = { actor, id: body.id, hash: canonicalDigest(body), time: timestamp(T0 + index), body };
    const facts: GuardFacts = { kind: "guard", person: personOf(actor) };
    const decision = decideGuard(state, input, facts);
    if (decision.kind !== "commit") throw new Error(`guard: ${body.id} is not taken: ${JSON.stringify(decision)}`);
    const cause: Cause = { id: input.id, kind: "control", actor, time: input.time };
    journal.add(decision.drafts, decision.change.at, cause, { input: body as never, input_hash: input.hash, facts });
    evolveGuard(state, decision.change);
  }
  write("guard", journal);
}
{
  const state = emptyErasure(NS, "subjects", CURRENT_VERSION);
  const journal = new Journal({ ns: NS, kind: "erasure", name: "subjects" });
  const [subject, key] = ["5f0c6f1b1f3c4d5e8a9b0c1d2e3f4a5b" as Pseudonym, "9f8e7d6c5b4a3928" as KeyId];
  const controls: [string, RecordedErasure, ErasureFacts][] = [
    ["op", { verb: "erase", id: "e1", subject, reason: "asked for" }, { kind: "erasure", key }],
    ["signalbox-eraser", { verb: "destroyed", id: `destroyed.${key}`, subject, key }, { kind: "erasure" }],
  ];
  for (const [index, [actor, body, facts]] of controls.entries()) {
    const input = { actor, id: body.id, hash: canonicalDigest(body), time: timestamp(T0 + index), body };
    const decision = decideErasure(state, input, facts);
    if (decision.kind !== "commit") throw new Error(`erasure: ${body.id} is not taken: ${JSON.stringify(decision)}`);
    const cause: Cause = { id: input.id, kind: "control", actor, time: input.time };
    journal.add(decision.drafts, decision.change.at, cause, { input: body as never, input_hash: input.hash, facts });
    evolveErasure(state, decision.change);
  }
  write("erasure", journal);
}
{
  const state = emptySegments(NS, "journal", CURRENT_VERSION);
  const journal = new Journal({ ns: NS, kind: "segments", name: "journal" });
  const index = sha256Digest(Buffer.from("the list of runs"));
  const told: [string, Cause["kind"], SegmentsControl | SegmentsSignal][] = [
    ["op", "control", { verb: "open", id: "o1", reason: "a large import" }],
    ["segments:journal", "signal", { name: "open", id: "open-3", segment: 3 }],
    ["segments:journal", "signal", { name: "seal", id: "seal-1", segment: 1, runs: 3, index }],
  ];
  const facts: SegmentsFacts = { kind: "segments", streams: 3, lead_ms: 120_000 };
  for (const [place, [actor, kind, body]] of told.entries()) {
    const input = { actor, id: body.id, hash: canonicalDigest(body), time: timestamp(T0 + place * 3_600_000), body };
    const decision = decideSegments(state, input, facts);
    if (decision.kind !== "commit") throw new Error(`segments: ${body.id} is not taken: ${JSON.stringify(decision)}`);
    journal.add(decision.drafts, decision.change.at, { id: input.id, kind, actor, time: input.time }, { input: body as never, input_hash: input.hash, facts });
    evolveSegments(state, decision.change);
  }
  write("segments", journal);
}
