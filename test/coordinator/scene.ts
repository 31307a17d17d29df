/** What decides, without a plane: documents in force, people and stops in memory, and aggregates that nothing is stored of. */
import { pino } from "pino";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import type { EventBody } from "../../schemas/event.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Grant } from "../../schemas/dispatch.ts";
import type { Principal } from "../../schemas/facts.ts";
import type { Digest } from "../../schemas/ids.ts";
import { type InputKind, subjects } from "../../schemas/subjects.ts";
import { decode } from "../../services/bus/codec.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import type { StreamReader } from "../../services/bus/journal.ts";
import type { Publisher } from "../../services/bus/publisher.ts";
import { type Loaded, loadAggregate } from "../../services/coordinator/aggregates.ts";
import { type Arrival, readDue, readInput } from "../../services/coordinator/arrival.ts";
import type { FactSources } from "../../services/coordinator/facts.ts";
import { GuardView } from "../../services/coordinator/guard-view.ts";
import { Lane } from "../../services/coordinator/lanes.ts";
import { People } from "../../services/coordinator/people.ts";
import { Personal } from "../../services/coordinator/personal.ts";
import { type Turn, takeTurn } from "../../services/coordinator/turn.ts";
import type { PrincipalVerdict } from "../../services/identity/principal.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { Validators } from "../../services/registry/validate.ts";
import { documents, NS, person, policySet, registry } from "../registry/in-force.ts";
import { CONTRACTS, TOOLS } from "./office.ts";
import { message } from "./quickly.ts";

export { NS };
export const T0 = Date.UTC(2026, 0, 31, 9, 30);
const ALLOW = `@id("all") permit (principal, action, resource);\n`;
const EMPTY = { read: async function* () {} } as unknown as StreamReader;

export interface Scene {
  readonly sources: FactSources;
  readonly bytes: (digest: Digest) => Uint8Array | null;
  readonly apply: ReturnType<typeof registry>["apply"];
  readonly store: ReturnType<typeof registry>["store"];
  /** Puts an entry of the guard in force. */
  stop(scope: string, kind?: "stop" | "revocation"): void;
  /** An aggregate of which nothing is stored, begun by this version. */
  lane(token: string, machine?: string): Promise<Lane & { loaded: Loaded }>;
  /** One turn over these, and what is waiting already. */
  turn(lane: Lane, arrivals?: readonly Arrival[], more?: { readonly sources?: Partial<FactSources>; readonly room?: number }): Turn;
}

/** With the documents of `office.ts`, and the persons `ann`, `bob` and `op`. */
export async function scene(lastOf: () => Promise<undefined> = () => Promise.resolve(undefined)): Promise<Scene> {
  const { view, apply, store, bytes } = registry();
  const written = [...Object.values(TOOLS), ...Object.values(CONTRACTS)].map((one) => JSON.stringify(one)).join("\n---\n");
  await apply(...documents(written), person("ann", ["approver", "operator"]), person("bob", ["approver", "operator"]), person("op", ["operator"]), policySet(ALLOW));
  const people = new People(view);
  const guard = new GuardView(NS, { ...EMPTY, lastOf } as unknown as StreamReader, people);
  let stops = 0;
  const log = pino({ level: "silent" });
  const personal = new Personal({ nc: {} as NatsConnection, ns: NS, publisher: {} as Publisher, registry: view, master: undefined, log });
  const sources: FactSources = { registry: view, validators: new Validators(), judge: new PolicyJudge(), guard, people, personal };
  return {
    sources,
    bytes,
    apply,
    store,
    stop: (scope, kind = "stop") => {
      const seq = ++stops;
      guard.put({ streamSeq: seq, body: { seq, type: "guard.stopped", data: { stop: `s${seq}`, kind, scope, by: "op", reason: "it went wild" } } as unknown as EventBody });
    },
    lane: async (token, machine = CURRENT_VERSION) => {
      const lane = new Lane(token);
      const { loaded } = await loadAggregate(EMPTY, NS, lane.kind, lane.name, { machines: { plays: () => true, newest: () => machine } });
      return Object.assign(lane, { loaded });
    },
    turn: (lane, arrivals = [], { sources: others, room = 256 } = {}) => {
      for (const arrival of arrivals) lane.push(arrival);
      if (lane.loaded === undefined) throw new Error("the lane is not loaded");
      return takeTurn({ ...sources, ...others }, lane, lane.loaded, room);
    },
  };
}

/** An input, stored so many seconds behind {@link T0}. */
export function arrives(kind: InputKind, actor: string, token: string, body: object, seconds = 0, more: Partial<IntakeMessage> & { readonly done?: string[] } = {}): Arrival {
  const read = readInput(message(`signalbox.${NS}.part.1.${kind}.${actor}.${token}`, body, { time: T0 + 1000 * seconds, ...more }));
  if (!read.ok) throw new Error(JSON.stringify(read.reasons));
  return read.arrival;
}

export function signals(from: string, to: string, body: { readonly name: string; readonly [key: string]: unknown }, seconds = 0, more: Partial<IntakeMessage> & { readonly done?: string[] } = {}): Arrival {
  const read = readInput(message(subjects.signal(NS, from, to, body.name), body, { time: T0 + 1000 * seconds, ...more }));
  if (!read.ok) throw new Error(JSON.stringify(read.reasons));
  return read.arrival;
}

export function fires(run: string, timer: string, armed: number, seconds: number, more: Partial<IntakeMessage> & { readonly done?: string[] } = {}): Arrival {
  const due = readDue(message(`signalbox.${NS}.due.1.${run}`, { timer, armed }, { time: T0 + 1000 * seconds, ...more }));
  if (due === undefined) throw new Error("no timer");
  return due;
}

export const NONCE = "12345678";
export const TOKEN = "eyJ.signed.token";
export const KIM: Principal = { subject: "kim", issuer: "corp", verified: true, token_hash: sha256Digest(TOKEN) };
/** A start with a token that was verified. */
export const begins = (agent: string, run: string, more: object = {}, rest: Partial<IntakeMessage> = {}): Arrival =>
  checked(arrives("propose", agent, run, { kind: "start", id: "s", agent: { name: agent }, goal: "g", ...more }, 0, rest), TOKEN, { principal: KIM });
/** The same input as one that brought this token, of which this was found. */
export const checked = (arrival: Arrival, principal: string, found?: PrincipalVerdict): Arrival => Object.assign(arrival, { principal, ...(found && { checked: found }) });
export const notes = (run: string, id: string, more: Partial<IntakeMessage> & { readonly done?: string[] } = {}) => arrives("propose", "clerk", run, { kind: "note", id, text: "x" }, 1, more);
export const asks = (agent: string, run: string, id: string, tool: string, input: object = { text: "x" }, rest: Partial<IntakeMessage> = {}) => arrives("propose", agent, run, { kind: "tool", id, tool, input }, 2, rest);
export const reports = (gateway: string, run: string, id: string, status: string, more: object = {}, seconds = 3) =>
  arrives("report", gateway, run, { id, action: "a2", attempt: 1, claim: { gateway, nonce: NONCE }, status, ...more }, seconds);

/** Types of what a turn would store. */
export const types = ({ events }: Turn): string[] => events.map((event) => bodyOf(event).type);
export const bodyOf = ({ data }: { readonly data: Uint8Array }): EventBody => decode(data) as EventBody;
/** Of each input: `stored`, or the codes of its refusal; and what its gateway is told. */
export const became = ({ done }: Turn): string[] =>
  done.map(({ arrival, refused, grant }) => [...(arrival.tries < 0 ? ["unsaid"] : []), refused?.map(({ code }) => code).join("+") ?? "taken", ...(grant === undefined ? [] : [verdictOf(grant.grant)])].join(" "));
const verdictOf = ({ verdict, code }: Grant) => (code === undefined ? verdict : `${verdict}(${code})`);
