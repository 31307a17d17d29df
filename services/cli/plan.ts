/**
 * What applying documents would do: what differs from what is in force, whom it concerns, where somebody is given more,
 * and who has to agree. Worked out by the functions that the plane itself decides by, from the same journal.
 */
import { type Actor, actorSchema } from "../../schemas/ids.ts";
import type { Contract } from "../../schemas/contract.ts";
import type { Fault } from "../../schemas/fault.ts";
import type { Ask } from "../../schemas/judgement.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { RULING_POLICY_SET } from "../../schemas/policy.ts";
import { streamName } from "../../schemas/subjects.ts";
import { Documents } from "../bus/documents.ts";
import { StreamReader } from "../bus/journal.ts";
import type { Publisher } from "../bus/publisher.ts";
import type { RunRow } from "../projection/index-store.ts";
import type { StatusAnswer } from "../projection/views.ts";
import { changeFacts } from "../registry/change.ts";
import { inconsistencies } from "../registry/consistency.ts";
import { documentChanges, type FieldChange } from "../registry/diff.ts";
import { segments } from "../registry/json-schema.ts";
import type { LoadedDocument } from "../registry/load.ts";
import { RegistryView } from "../registry/view.ts";
import { widenings } from "../registry/widening.ts";
import type { Session } from "./session.ts";

export interface PlannedDocument {
  readonly document: LoadedDocument;
  readonly status: "added" | "changed" | "unchanged";
  /** The version in force; 0 for none. */
  readonly version: number;
  readonly changes: readonly FieldChange[];
  readonly widens: readonly string[];
}

export interface Plan {
  readonly documents: readonly PlannedDocument[];
  /** Why the plane would refuse it. */
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
  /** Who has to agree before it comes into force. */
  readonly review: { readonly ask: Ask; readonly reasons: readonly Reason[] } | undefined;
  readonly agents: readonly AffectedAgent[];
  /** When the ruling policy set changes: it concerns everybody. */
  readonly everyone: { readonly agents: number; readonly live: number | undefined } | undefined;
  /** Contracts that were not looked at, because there are too many. */
  readonly unseen: number;
}

export interface AffectedAgent {
  readonly agent: string;
  /** Documents of the change that concern it, as `tool stripe.create_refund`. */
  readonly by: readonly string[];
  /** Runs that have not ended; undefined when nobody knows. */
  readonly live: number | undefined;
}

/** Contracts that are read to find whom a tool concerns. */
const MAX_CONTRACTS = 5_000;
const MAX_AGENTS = 200;

export function changed(plan: Plan): LoadedDocument[] {
  return plan.documents.flatMap(({ document, status }) => (status === "unchanged" ? [] : [document]));
}

/** The registry as this session may read it, with the documents that a change of these rests on. */
export async function registryFor(session: Session, publisher: Publisher, documents: readonly LoadedDocument[]): Promise<{ view: RegistryView; unseen: number }> {
  const { nc, ns } = session;
  const view = new RegistryView(ns, new StreamReader(nc, streamName("JOURNAL", ns)), new Documents(nc, publisher, ns));
  const named = new Set(documents.map(({ kind, name }) => `${kind} ${name}`));
  const tools = new Set(documents.flatMap((document) => (document.kind === "agent" ? document.value.tools.allowlist.map(({ name }) => name as string) : [])));
  const everyContract = documents.some(({ kind }) => kind === "tool" || kind === "budget");
  let contracts = 0;
  await view.load((kind, name) => {
    if (kind === "issuer" || kind === "person" || kind === "policy" || named.has(`${kind} ${name}`)) return true;
    if (kind === "tool") return tools.has(name);
    return kind === "agent" && everyContract && contracts++ < MAX_CONTRACTS;
  });
  return { view, unseen: Math.max(0, contracts - MAX_CONTRACTS) };
}

export async function makePlan(session: Session, publisher: Publisher, documents: readonly LoadedDocument[]): Promise<Plan> {
  const { view, unseen } = await registryFor(session, publisher, documents);
  const planned = documents.map((document): PlannedDocument => {
    const before = view.inForce(document.kind, document.name);
    const version = view.version(document.kind, document.name);
    if (view.applied(document.kind, document.name) === document.digest) return { document, status: "unchanged", version, changes: [], widens: [] };
    const status = version === 0 ? "added" : "changed";
    return { document, status, version, changes: documentChanges(before?.value, document), widens: widenings(before?.value, document) };
  });
  const news = planned.flatMap(({ document, status }) => (status === "unchanged" ? [] : [document]));
  const judged = news.length === 0 ? { faults: [], review: undefined } : judge(session, view, news);
  const warnings = inconsistencies(view, news)
    .filter(({ severity }) => severity === "warning")
    .map(({ document, path, ...found }) => faultOf(document as LoadedDocument, found, path));
  return { documents: planned, ...judged, warnings, unseen, agents: await affected(session, view, planned), everyone: await everyone(session, view, planned) };
}

function judge({ ns, name }: Session, view: RegistryView, documents: readonly LoadedDocument[]): Pick<Plan, "faults" | "review"> {
  const bytes = new Map(documents.map((document) => [document.digest, document.bytes]));
  const sources = { registry: view, document: (digest: LoadedDocument["digest"]) => bytes.get(digest) ?? null };
  const body = { documents: documents.map(({ kind, name: of, digest }) => ({ kind, name: of, document: digest })) };
  const { start, tool } = changeFacts(sources, ns, actorSchema.parse(name) satisfies Actor, body, "");
  const faults = [...(start.refusals ?? []), ...tool.faults].map((found) => {
    const [, index, ...path] = segments(found.path ?? "");
    const document = documents[Number(index)] ?? documents[0];
    return faultOf(document as LoadedDocument, found, path);
  });
  const ask = tool.judgement?.ask;
  return { faults, review: ask === undefined ? undefined : { ask, reasons: (tool.judgement?.reasons ?? []).filter(({ code }) => code === "change.review") } };
}

/** Where it is written. */
function faultOf(document: LoadedDocument, found: Reason | { code: string; message: string; help?: string }, path: readonly string[]): Fault {
  const { code, message, help } = reason(found.code, found.message, found.help === undefined ? {} : { help: found.help });
  return { file: document.file, ...document.placeOf(path), path: path.map((part) => `/${part}`).join(""), code, message, ...(help !== undefined && { help }) };
}

/** Agents to whom the change makes a difference, and how many of their runs are under way. */
async function affected(session: Session, view: RegistryView, planned: readonly PlannedDocument[]): Promise<AffectedAgent[]> {
  const by = new Map<string, string[]>();
  const add = (agent: string, what: string) => by.set(agent, [...(by.get(agent) ?? []), what]);
  const mentions = (contract: Contract, { kind, name, value }: LoadedDocument): boolean => {
    if (kind === "tool") return contract.tools.allowlist.some((entry) => entry.name === name);
    if (kind !== "budget") return false;
    const { scope, name: of } = value.budget;
    return (scope === "agent" ? contract.agent.name : contract.agent[scope]) === of;
  };
  for (const { document, status } of planned) {
    // what is new concerns nobody yet, but for those that wait for it
    if (status === "unchanged") continue;
    if (document.kind === "agent" && status === "changed") add(document.name, `its contract`);
    if (document.kind !== "tool" && document.kind !== "budget") continue;
    for (const { value } of view.contracts()) if (mentions(value, document)) add(value.agent.name, `${document.kind} ${document.name}`);
  }
  const agents = [...by].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, MAX_AGENTS);
  const found: AffectedAgent[] = [];
  for (const [agent, what] of agents) found.push({ agent, by: what, live: await liveRuns(session, agent) });
  return found;
}

async function everyone(session: Session, view: RegistryView, planned: readonly PlannedDocument[]): Promise<Plan["everyone"]> {
  const rules = planned.some(({ document, status }) => status === "changed" && document.kind === "policy" && document.name === RULING_POLICY_SET);
  if (!rules) return undefined;
  const answer = await session.query<StatusAnswer>("status").catch(() => undefined);
  return { agents: view.count("agent"), live: answer && LIVE.reduce((sum, state) => sum + (answer.runs[state] ?? 0), 0) };
}

/** States of runs that have not ended. */
const LIVE = ["active", "paused"];

/** Nobody waits for the read model here: what it does not say is not known. */
async function liveRuns(session: Session, agent: string): Promise<number | undefined> {
  try {
    let live = 0;
    for (const state of LIVE) live += (await session.query<{ runs: RunRow[] }>("runs", { agent, state, limit: 1000 })).runs.length;
    return live;
  } catch {
    return undefined;
  }
}
