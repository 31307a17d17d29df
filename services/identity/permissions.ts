/**
 * What each role may say and hear: one pure function, and `test/identity/permissions.golden.txt` is its table
 * as a real broker enforces it.
 *
 * Inside PLANE these are a second fence, not the first: JetStream answers to any reply subject with the
 * server's own rights, so what keeps agents out of the journal is that they are in another account.
 */
import { actor, toolName, type Actor, type AggregateKind, type Namespace, RESERVED_PREFIX } from "../../schemas/ids.ts";
import { aggregateToken, patterns, STREAMS, type StreamKind, streamName, subjects } from "../../schemas/subjects.ts";
import { SEGMENTS, segmentStream } from "../../schemas/segments.ts";
import { ERASURES_NAME } from "./erasures-name.ts";
import { inboxPrefixOf, isPlaneRole, NAMESPACE_ROLES, type Role } from "./roles.ts";

export interface Permissions {
  readonly publish: { readonly allow: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[] };
  /** Leave to answer what was received: number of answers, and for how long, milliseconds. */
  readonly allow_responses?: { readonly max: number; readonly ttlMs: number };
}

export interface PermissionOptions {
  /** The tool that a `tool` serves; required for that role. */
  readonly tool?: string;
  /** The team that a `developer` reads; required for that role. */
  readonly team?: string;
}

/**
 * Instances of a tool share one queue group, so that a call reaches one of them. The name is fixed, because two
 * groups would each get a copy of every call, and act twice. It is the default of NATS micro services.
 */
export const TOOL_QUEUE = "q";

/** An answer may take as long as a tool's deadline or an ask's wait. */
export const LONGEST_ANSWER_MS = 60 * 60 * 1000;

/** As whom gateways put a change of several documents in force, each on its own (POL-6). */
export const CHANGE_ACTOR = actor(`${RESERVED_PREFIX}gateway`);

/** As whom coordinators say that a subject's key was destroyed (AUD-3). */
export const ERASER = actor(`${RESERVED_PREFIX}eraser`);

/** Aggregates that are documents with versions. */
const DOCUMENT_KINDS = ["tool", "agent", "policy", "person", "issuer", "budget"] as const satisfies readonly AggregateKind[];

const ANSWERS = { max: 1, ttlMs: LONGEST_ANSWER_MS } as const;
const API = "$JS.API";

/**
 * The permissions of one principal.
 * @param namespaces built-in services may serve several, everybody else exactly one
 * @throws when the name is no actor's or is the plane's own, or the role lacks its tool, team or single namespace
 */
export function permissionsFor(
  role: Role,
  name: string,
  namespaces: readonly Namespace[],
  options: PermissionOptions = {},
): Permissions {
  const self = actor(name);
  if (NAMED_BY_PEOPLE.has(role) && name.startsWith(RESERVED_PREFIX)) {
    throw new Error(`the name \`${name}\` is the plane's own: \`${RESERVED_PREFIX}\` begins no other`);
  }
  const inbox = `${inboxPrefixOf(role, name)}.>`;
  const perNamespace = isPlaneRole(role) ? namespaces : role === "system" ? [] : [only(role, namespaces)];
  const rights = perNamespace.map((ns) => rightsIn(role, self, ns, options));
  const extra = EVERYWHERE[role] ?? {};
  return {
    publish: { allow: [...(extra.publish ?? []), ...rights.flatMap((right) => right.publish ?? [])] },
    subscribe: { allow: [inbox, ...(extra.subscribe ?? []), ...rights.flatMap((right) => right.subscribe ?? [])] },
    ...(ANSWERING.has(role) && { allow_responses: ANSWERS }),
  };
}

interface Rights {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

const NAMED_BY_PEOPLE: ReadonlySet<Role> = new Set<Role>(NAMESPACE_ROLES);

/** Roles that serve requests. */
const ANSWERING: ReadonlySet<Role> = new Set<Role>(["ask", "reader", "reveal", "tool"]);

/** Rights that belong to no namespace. */
const EVERYWHERE: Partial<Record<Role, Rights>> = {
  provision: { publish: [`${API}.INFO`] },
  coordinator: { publish: [`${API}.INFO`] },
  // Discovery of micro services: `$SRV.PING` and its kind. Only within their own account.
  ask: { subscribe: ["$SRV.>"] },
  reader: { subscribe: ["$SRV.>"] },
  reveal: { subscribe: ["$SRV.>"] },
  tool: { subscribe: ["$SRV.>"] },
  system: {
    publish: [
      "$SYS.REQ.CLAIMS.UPDATE",
      "$SYS.REQ.CLAIMS.LIST",
      "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
      // understood by servers of every kind of resolver
      "$SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE",
    ],
  },
};

function rightsIn(role: Role, self: Actor, ns: Namespace, options: PermissionOptions): Rights {
  const stream = (kind: StreamKind) => streamName(kind, ns);
  switch (role) {
    case "provision":
      return {
        publish: [...STREAMS.map(stream), ...laterSegments(ns)].flatMap((name) =>
          ["CREATE", "UPDATE", "INFO"].map((verb) => `${API}.STREAM.${verb}.${name}`),
        ),
      };
    case "coordinator":
      return {
        publish: [
          patterns.log(ns),
          patterns.segments(ns),
          patterns.out(ns),
          patterns.rejected(ns),
          patterns.timers(ns),
          patterns.dispatches(ns),
          patterns.grants(ns),
          patterns.documents(ns),
          // Keys of data subjects: made, and overwritten when a subject is erased; and what came in of them in plain text.
          patterns.keys(ns),
          `${API}.STREAM.MSG.GET.${stream("KEYS")}`,
          ...(["KEYS", "INBOX", "CONTROL"] as const).map((kind) => `${API}.STREAM.MSG.DELETE.${stream(kind)}`),
          subjects.input(ns, "control", ERASER, aggregateToken("erasure", ERASURES_NAME)),
          // Messages between aggregates: nobody else may say that a ledger granted something.
          patterns.signals(ns),
          patterns.unsharedSignals(ns),
          // Who of them owns what.
          patterns.leases(ns),
          `${API}.STREAM.MSG.GET.${stream("LEASES")}`,
          ...(["INBOX", "CONTROL", "TIMERS", "DISPATCH"] as const).flatMap((kind) => consuming(stream(kind))),
          ...(["INBOX", "CONTROL", "TIMERS", "DISPATCH"] as const).flatMap((kind) => managing(stream(kind))),
          ...STREAMS.map((kind) => `${API}.STREAM.INFO.${stream(kind)}`),
          ...(["JOURNAL", "DOCUMENTS", "OUT", "REJECTED", "TIMERS", "DISPATCH"] as const).flatMap((kind) => [
            ...directGet(stream(kind)),
            `${API}.STREAM.MSG.GET.${stream(kind)}`,
          ]),
          ...laterSegments(ns).flatMap((name) => [`${API}.STREAM.INFO.${name}`, ...directGet(name), `${API}.STREAM.MSG.GET.${name}`]),
          // the fence of a due timer: what was stored last before it, in INBOX and CONTROL
          ...(["INBOX", "CONTROL"] as const).map((kind) => `${API}.STREAM.MSG.GET.${stream(kind)}`),
        ],
        // What another coordinator put in force, and what it stopped.
        subscribe: [...[...DOCUMENT_KINDS, "guard" as const, "erasure" as const, "segments" as const].map((kind) => patterns.liveOfKind(ns, kind)), patterns.leased(ns)],
      };
    case "gateway":
      return {
        publish: [
          subjects.input(ns, "report", self, "*"),
          subjects.input(ns, "apply", CHANGE_ACTOR, "*"),
          patterns.calls(ns),
          patterns.probes(ns),
          patterns.documents(ns),
          ...consuming(stream("DISPATCH")),
          `${API}.CONSUMER.CREATE.${stream("DISPATCH")}.>`,
          `${API}.CONSUMER.INFO.${stream("DISPATCH")}.*`,
          ...directGet(stream("DOCUMENTS")),
          // A document that is there already is compared with the leader's copy.
          `${API}.STREAM.MSG.GET.${stream("DOCUMENTS")}`,
          // Which tools there are: names of subjects, no event.
          `${API}.STREAM.INFO.${stream("JOURNAL")}`,
          // Whether a change of documents is in force: their journals, and no run's.
          ...DOCUMENT_KINDS.map((kind) => `${API}.DIRECT.GET.${stream("JOURNAL")}.${patterns.logOfKind(ns, kind)}`),
          ...opening(ns),
          patterns.keys(ns),
        ],
        subscribe: [
          subjects.grant(ns, self),
          patterns.liveOfKind(ns, "erasure"),
          ...DOCUMENT_KINDS.map((kind) => patterns.liveOfKind(ns, kind)),
          patterns.rejectedStored(ns).replace("*", CHANGE_ACTOR),
        ],
      };
    case "ask":
      return {
        publish: [subjects.input(ns, "propose", "*", "*")],
        subscribe: [patterns.asks(ns), patterns.outStored(ns), patterns.rejectedStored(ns)],
      };
    case "reader":
      return {
        publish: [
          patterns.events(ns),
          patterns.teams(ns),
          ...directGet(stream("JOURNAL")),
          ...directGet(stream("DOCUMENTS")),
          `${API}.STREAM.INFO.${stream("JOURNAL")}`,
          `${API}.STREAM.INFO.${stream("DOCUMENTS")}`,
          // In doubt what was read is compared with the leader's copy.
          `${API}.STREAM.MSG.GET.${stream("JOURNAL")}`,
          ...laterSegments(ns).flatMap((name) => [`${API}.STREAM.INFO.${name}`, ...directGet(name), `${API}.STREAM.MSG.GET.${name}`]),
        ],
        subscribe: [patterns.live(ns), patterns.queries(ns)],
      };
    case "reveal":
      return { publish: opening(ns), subscribe: [patterns.liveOfKind(ns, "erasure"), patterns.reveals(ns)] };
    case "agent":
      return {
        publish: [
          subjects.input(ns, "propose", self, "*"),
          subjects.ask(ns, self, "*"),
          `${API}.DIRECT.GET.${stream("OUT")}.${subjects.out(ns, self, "*")}`,
          `${API}.DIRECT.GET.${stream("REJECTED")}.${subjects.rejected(ns, self)}`,
        ],
        subscribe: [outOf(ns, self), subjects.rejected(ns, self)],
      };
    case "subscriber":
      return { subscribe: [patterns.events(ns)] };
    case "tool":
      return {
        subscribe: [subjects.call, subjects.probe].map((of) => `${of(ns, toolName(required(role, "tool", options.tool)))} ${TOOL_QUEUE}`),
      };
    case "approver":
      return {
        publish: [
          subjects.input(ns, "decide", self, "*"),
          subjects.query(ns, "approvals"),
          subjects.query(ns, "approval.*"),
          // Alone: what is personal in a request is for whoever answers it.
          subjects.reveal(ns, self),
        ],
        subscribe: [subjects.event(ns, "approval", ">"), subjects.rejected(ns, self)],
      };
    case "operator":
      return {
        publish: [
          subjects.input(ns, "control", self, "*"),
          subjects.input(ns, "apply", self, "*"),
          patterns.documents(ns),
          ...auditing(ns),
        ],
        subscribe: [patterns.live(ns), patterns.events(ns), subjects.rejected(ns, self)],
      };
    case "auditor":
      return { publish: auditing(ns), subscribe: [patterns.live(ns), patterns.events(ns)] };
    case "developer":
      return { subscribe: [patterns.team(ns, required(role, "team", options.team))] };
    case "system":
      return {};
  }
}

/** Reading subjects' keys, and which of them were erased. */
function opening(ns: Namespace): string[] {
  const journal = `${streamName("JOURNAL", ns)}.*`;
  return [
    `${API}.STREAM.MSG.GET.${streamName("KEYS", ns)}`,
    // The filter stands in the subject, and the server holds the consumer to it: no run's events can be read by this.
    `${API}.CONSUMER.CREATE.${journal}.${subjects.log(ns, "erasure", ERASURES_NAME)}`,
    `${API}.CONSUMER.MSG.NEXT.${journal}`,
    `${API}.CONSUMER.DELETE.${journal}`,
  ];
}

/** All of the agent's own view. */
function outOf(ns: Namespace, self: Actor): string {
  return `${subjects.out(ns, self, "*").slice(0, -1)}>`;
}

function auditing(ns: Namespace): string[] {
  return [
    patterns.queries(ns),
    ...directGet(streamName("JOURNAL", ns)),
    ...laterSegments(ns).flatMap(directGet),
    ...directGet(streamName("DOCUMENTS", ns)),
  ];
}

/** Streams of the journal behind its first: named before there are any, because permissions know names only. */
function laterSegments(ns: Namespace): string[] {
  return SEGMENTS.slice(1).map((segment) => segmentStream(ns, segment));
}

function directGet(stream: string): string[] {
  return [`${API}.DIRECT.GET.${stream}`, `${API}.DIRECT.GET.${stream}.>`];
}

function consuming(stream: string): string[] {
  return [`${API}.CONSUMER.MSG.NEXT.${stream}.>`, `$JS.ACK.${stream}.>`];
}

function managing(stream: string): string[] {
  return [
    `${API}.CONSUMER.CREATE.${stream}.>`,
    `${API}.CONSUMER.INFO.${stream}.*`,
    `${API}.CONSUMER.DELETE.${stream}.*`,
    `${API}.CONSUMER.NAMES.${stream}`,
  ];
}

function only(role: Role, namespaces: readonly Namespace[]): Namespace {
  const [ns, ...others] = namespaces;
  if (ns === undefined || others.length > 0) throw new Error(`the role \`${role}\` belongs to exactly one namespace`);
  return ns;
}

function required(role: Role, what: string, value: string | undefined): string {
  if (value === undefined || value === "") throw new Error(`the role \`${role}\` needs a \`${what}\``);
  return value;
}
