/**
 * The broker's accounts: the walls that law 8 of DESIGN rests on.
 *
 * The threat: whoever can provoke an answer chooses the subject that the answer goes to, and the server
 * delivers it with its own rights, past all permissions, anywhere in the asker's account. With the content of
 * a document fetched as its "answer", an operator could decide as an approver, an agent could call a tool.
 *
 *  - PLANE holds the streams; only built-in services log in. Answers to others leave it for *their* account.
 *  - NS_<ns>, agents and subscribers. PEOPLE_<ns>, approvers, operators, auditors, developers: apart, so that
 *    no subject by which people act exists where agents are. TOOLS_<ns>, tools: nobody there can ask for
 *    anything, so nobody can name a reply, so what reaches a tool comes from a gateway.
 *  - Within an account, an answer that names an *imported service* as its destination would become a request
 *    in another's name. The server drops a message that would pass the same export a second time, so every
 *    account imports all its services through one single export, `>`, of an account where nobody logs in:
 *    NS from AGENTS_DOOR, PEOPLE from PEOPLE_DOOR. The doors pass requests on to PLANE. They are two, because an
 *    export is either for single answers, kept open for long, or for many answers, and journal pages are many.
 *    (nats-server 2.15.1 happens to lose such a message even without the doors; its cycle check is a promise.)
 *  - An answer that names a *feed* would be a forged message of that feed. Mappings lead everything that is
 *    published to a feed inside these accounts into the void; what is imported does not pass by them.
 *
 * Every export needs an activation token, so that on a shared server no other account can import it.
 * What these walls hold is tested in `test/identity`.
 */
import {
  type Account,
  type Export,
  type Import,
  type KeyPair,
  encodeAccount,
  encodeActivation,
  encodeOperator,
} from "@nats-io/jwt";
import type { Namespace } from "../../schemas/ids.ts";
import { SEGMENTS, segmentStream } from "../../schemas/segments.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import type { NamespaceKeys, PlaneKeys } from "./keys.ts";
import type { Bearer } from "./issued.ts";
import { LONGEST_ANSWER_MS } from "./permissions.ts";
import { revocations, type Revoked } from "./revoked.ts";
import { accountOf } from "./roles.ts";

export interface AccountToken {
  readonly name: string;
  readonly publicKey: string;
  readonly jwt: string;
}

/** Everything that a server needs to know of the plane's identity. Holds no seed. */
export interface ServerIdentity {
  readonly operatorJwt: string;
  readonly systemAccount: string;
  readonly accounts: readonly AccountToken[];
}

type Answers = Pick<Export, "response_type" | "response_threshold">;

const NANOSECONDS = 1_000_000;
/** An answer may take long; it is forgotten as soon as it was given. */
const ONE_ANSWER: Answers = { response_type: "Singleton", response_threshold: LONGEST_ANSWER_MS * NANOSECONDS };
/** Answers end when nothing came for ten seconds: until then each request costs the server some memory. */
const MANY_ANSWERS: Answers = { response_type: "Stream", response_threshold: 10_000 * NANOSECONDS };

/**
 * Signs the operator's and all accounts' tokens. They do not expire; signing again gives equivalent ones. Credentials
 * that were revoked are in them.
 */
export async function signAccounts(keys: PlaneKeys): Promise<ServerIdentity> {
  const systemAccount = keys.system.getPublicKey();
  return {
    operatorJwt: await encodeOperator("signalbox", keys.operator, { system_account: systemAccount }),
    systemAccount,
    accounts: await signEach(keys, [...accountsOf(keys).keys()], await revocations(keys.dataDir)),
  };
}

/** The same for some accounts, by name, with these revocations. */
export async function signEach(keys: PlaneKeys, names: readonly string[], revoked: readonly Revoked[]): Promise<AccountToken[]> {
  const accounts = accountsOf(keys);
  const signed: AccountToken[] = [];
  for (const name of names) {
    const found = accounts.get(name);
    if (found === undefined) throw new Error(`there is no account \`${name}\``);
    const { key, account } = found;
    const jwt = await encodeAccount(name, key, withRevocations(await account(), name, revoked), { signer: keys.operator });
    signed.push({ name, publicKey: key.getPublicKey(), jwt });
  }
  return signed;
}

interface OwnAccount {
  readonly key: KeyPair;
  readonly account: () => Promise<Partial<Account>>;
}

function accountsOf(keys: PlaneKeys): Map<string, OwnAccount> {
  const accounts = new Map<string, OwnAccount>([
    ["SYS", { key: keys.system, account: () => Promise.resolve({ limits: LIMITS }) }],
    ["PLANE", { key: keys.plane, account: () => planeAccount(keys) }],
    ["AGENTS_DOOR", { key: keys.agentsDoor, account: () => doorAccount(keys, keys.agentsDoor, agentsServices, ONE_ANSWER) }],
    ["PEOPLE_DOOR", { key: keys.peopleDoor, account: () => doorAccount(keys, keys.peopleDoor, peoplesServices, MANY_ANSWERS) }],
  ]);
  for (const [ns, own] of keys.namespaces) {
    accounts.set(`NS_${ns}`, { key: own.agents, account: () => agentsAccount(keys, ns, own) });
    accounts.set(`PEOPLE_${ns}`, { key: own.people, account: () => peopleAccount(keys, ns, own) });
    accounts.set(`TOOLS_${ns}`, { key: own.tools, account: () => Promise.resolve(toolsAccount(ns)) });
  }
  return accounts;
}

/** The name of the account that a bearer logs in to. */
export function accountNameOf({ role, ns }: Bearer): string {
  const kind = accountOf(role);
  if (kind === "plane") return "PLANE";
  if (kind === "system") return "SYS";
  return `${{ agents: "NS", people: "PEOPLE", tools: "TOOLS" }[kind]}_${ns ?? ""}`;
}

/** The server refuses a user's credential that was made before the second given for its key. */
function withRevocations(account: Partial<Account>, name: string, revoked: readonly Revoked[]): Partial<Account> {
  const own = revoked.filter((record) => accountNameOf(record) === name);
  if (own.length === 0) return account;
  return { ...account, revocations: Object.fromEntries(own.map(({ public_key, revoked_at }) => [public_key, Math.ceil(Date.parse(revoked_at) / 1000)])) };
}

/** No leaf nodes: they would speak for others with one credential. JetStream is off unless granted. */
const LIMITS = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: 0,
  disallow_bearer: true,
} as const;

const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 } as const;

async function planeAccount(keys: PlaneKeys): Promise<Partial<Account>> {
  const exports: Export[] = [];
  const imports: Import[] = [];
  for (const [ns, own] of keys.namespaces) {
    exports.push(
      ...[...agentsServices(ns), ...peoplesServices(ns)].map((subject) =>
        service(subject, pagedReads(ns).includes(subject) ? MANY_ANSWERS : ONE_ANSWER),
      ),
      ...feeds(ns).map((subject): Export => ({ name: subject, subject, type: "stream", token_req: true })),
    );
    for (const subject of [patterns.calls(ns), patterns.probes(ns)]) imports.push(await imported("service", own.tools, keys.plane, subject));
  }
  return { limits: { ...LIMITS, ...JETSTREAM }, exports, imports };
}

/** An account that only passes on. Its single export is everything, to whom it has given a token for the subject. */
async function doorAccount(
  keys: PlaneKeys,
  door: KeyPair,
  services: (ns: Namespace) => string[],
  answers: Answers,
): Promise<Partial<Account>> {
  const imports: Import[] = [];
  for (const ns of keys.namespaces.keys()) {
    for (const subject of services(ns)) imports.push(await imported("service", keys.plane, door, subject));
  }
  return { limits: LIMITS, exports: [service(">", answers)], imports };
}

async function agentsAccount(keys: PlaneKeys, ns: Namespace, own: NamespaceKeys): Promise<Partial<Account>> {
  const imports: Import[] = [];
  for (const subject of agentsServices(ns)) {
    imports.push(await imported("service", keys.agentsDoor, own.agents, subject));
  }
  imports.push(
    await imported("stream", keys.plane, own.agents, patterns.outStored(ns), patterns.out(ns)),
    await imported("stream", keys.plane, own.agents, patterns.rejectedStored(ns), patterns.rejected(ns).replace("*", "$1")),
    await imported("stream", keys.plane, own.agents, patterns.events(ns)),
  );
  return withVoid(ns, { limits: LIMITS, imports });
}

async function peopleAccount(keys: PlaneKeys, ns: Namespace, own: NamespaceKeys): Promise<Partial<Account>> {
  const imports: Import[] = [];
  for (const subject of peoplesServices(ns)) {
    imports.push(await imported("service", keys.peopleDoor, own.people, subject));
  }
  for (const feed of [patterns.live(ns), patterns.events(ns), patterns.teams(ns)]) {
    imports.push(await imported("stream", keys.plane, own.people, feed));
  }
  imports.push(
    await imported("stream", keys.plane, own.people, patterns.rejectedStored(ns), patterns.rejected(ns).replace("*", "$1")),
  );
  return withVoid(ns, { limits: LIMITS, imports });
}

function toolsAccount(ns: Namespace): Partial<Account> {
  return { limits: LIMITS, exports: [patterns.calls(ns), patterns.probes(ns)].map((subject) => service(subject, ONE_ANSWER)) };
}

/** All that agents may ask for; what each of them may is narrower, by permission. */
function agentsServices(ns: Namespace): string[] {
  return [
    patterns.inboxSource(ns),
    patterns.asks(ns),
    `$JS.API.DIRECT.GET.${streamName("OUT", ns)}.>`,
    `$JS.API.DIRECT.GET.${streamName("REJECTED", ns)}.>`,
  ];
}

/** Reads that answer with many messages. */
function pagedReads(ns: Namespace): string[] {
  return [...SEGMENTS.map((segment) => segmentStream(ns, segment)), streamName("DOCUMENTS", ns)].map((stream) => `$JS.API.DIRECT.GET.${stream}`);
}

/** The same for people. */
function peoplesServices(ns: Namespace): string[] {
  return [
    ...(["decide", "control", "apply"] as const).map((kind) => subjects.input(ns, kind, "*", "*")),
    patterns.queries(ns),
    patterns.reveals(ns),
    patterns.documents(ns),
    ...pagedReads(ns),
    ...pagedReads(ns).map((subject) => `${subject}.>`),
  ];
}

function feeds(ns: Namespace): string[] {
  return [patterns.live(ns), patterns.events(ns), patterns.teams(ns), patterns.outStored(ns), patterns.rejectedStored(ns)];
}

function withVoid(ns: Namespace, account: Partial<Account>): Partial<Account> {
  const mappings = Object.fromEntries(
    [patterns.live(ns), patterns.events(ns), patterns.teams(ns), patterns.out(ns), patterns.rejected(ns)].map(
      (feed) => [feed, [{ subject: voidOf(ns, feed), weight: 100 }]],
    ),
  );
  // The library's type lacks `mappings`; the server's has it.
  return { ...account, mappings } as Partial<Account>;
}

/** Where nobody listens. */
function voidOf(ns: Namespace, feed: string): string {
  return feed.replace(`signalbox.${ns}.`, `signalbox.${ns}.void.`).replace("*", "$1");
}

function service(subject: string, answers: Answers): Export {
  return { name: subject, subject, type: "service", token_req: true, ...answers };
}

async function imported(
  type: "service" | "stream",
  from: KeyPair,
  to: KeyPair,
  subject: string,
  local?: string,
): Promise<Import> {
  // A tool's account belongs to the plane as well, but its export is private like every other.
  const token = await encodeActivation(subject, to.getPublicKey(), from, type, { subject } as never);
  return {
    name: subject,
    subject,
    type,
    account: from.getPublicKey(),
    token,
    ...(local !== undefined && { local_subject: local }),
  } as Import;
}
