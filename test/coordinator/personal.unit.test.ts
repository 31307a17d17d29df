/** Law 10 and AUD-3, what is personal on its way in: which part of an input is sealed, by whose marks and under which key, and what is kept out. The store's part is tested on a real server. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Logger } from "pino";
import type { RunInput } from "../../machines/decide.ts";
import type { RunState } from "../../machines/state.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import type { DocumentFacts } from "../../schemas/facts.ts";
import { type Digest, actor } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { type KeyId, type Pseudonym, sealedIn, sealedValue, withheldIn, withheldValue } from "../../schemas/sealed.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { Publisher } from "../../services/bus/publisher.ts";
import { type Fetching, type NeedsKeys, Personal } from "../../services/coordinator/personal.ts";
import { PersonalMaster, type SubjectKey, openValue, sealValue } from "../../services/identity/sealing.ts";
import { marksOf } from "../../services/registry/personal.ts";
import { documents, NS, registry } from "../registry/in-force.ts";
import { message } from "./quickly.ts";

const RUN = "clerk_1";
const AT = "2026-01-31T09:30:00.000Z";
const BEFORE = "2026-01-31T09:29:59.999Z";
const master = new PersonalMaster(new Uint8Array(32).fill(7));
/** What a key is not fetched from: no test here comes that far. */
const NOBODY = { options: { inboxPrefix: "_INBOX" } } as unknown as NatsConnection;
const pseudonym = (subject: string) => master.pseudonym(NS, subject);

type Marked = { readonly path: string; readonly subject: string };
const EMAIL: Marked = { path: "email", subject: "customer" };
const NUMBER: Marked = { path: "number", subject: "customer" };
const PEOPLE: Marked = { path: "people.*.name", subject: "people.*.id" };
const text = { type: "string" };
const FIELDS = { type: "object", properties: { customer: text, email: text, number: text, people: { type: "array", items: { type: "object", properties: { id: text, name: text } } } } };
const toolOf = (name: string, personal: readonly Marked[] = []) => ({ name, description: "a tool", effect: "read", adapter: "nats", timeout_ms: 5000, input: FIELDS, output: FIELDS, personal });
const contractOf = (more: object = {}) => ({ agent: { name: "clerk", owner: "owner", team: "team", purpose: "to be tested" }, tools: { allowlist: [{ name: "mail", ...more }, { name: "plain" }] } });
const parsed = (one: object) => documents(JSON.stringify(one));

/** What is asked for instead of being thrown; documents are those that were given. */
function fetcher(bytes: (digest: Digest) => Uint8Array | null = () => null) {
  const asked: NeedsKeys["keys"][number][] = [];
  const read: Digest[] = [];
  const calls: number[] = [];
  const fetching: Fetching = {
    keys: ({ keys }) => {
      calls.push(keys.length);
      asked.push(...keys);
    },
    document: (digest) => (read.push(digest), bytes(digest)),
  };
  return { fetching, asked, read, calls };
}

async function scene(personals: readonly object[] = [toolOf("mail", [EMAIL]), toolOf("plain"), toolOf("crowd", [PEOPLE]), contractOf()]) {
  const { view, apply, bytes, store } = registry();
  for (const one of personals) await apply(...parsed(one));
  const personal = new Personal({ nc: NOBODY, ns: NS, publisher: {} as Publisher, registry: view, master, log: {} as Logger });
  const held = new Map<Pseudonym, SubjectKey>();
  if (personal.keys !== undefined) {
    // as if they had been fetched
    personal.keys.current = (subject) => held.get(subject);
    const { erasures } = personal.keys;
    personal.keys.find = (subject, id) => (erasures.has(id) ? "gone" : held.get(subject)?.id === id ? held.get(subject) : undefined);
  }
  const key = (subject: string) => {
    const made = master.newKey(pseudonym(subject));
    held.set(made.subject, made);
    return made;
  };
  let erased = 0;
  const erase = ({ subject, id }: SubjectKey, at: string) => {
    const seq = ++erased;
    personal.keys?.erasures.put({ streamSeq: seq, body: { seq, type: "erasure.requested", at, data: { subject, key: id } } } as never);
    held.delete(subject);
  };
  const action = (tool: string, named: DocumentFacts, asked?: JsonValue) => ({ context: { tool, documents: named, ...(asked !== undefined && { basis: { asked: { input: asked } } }) } });
  const state = {
    ns: NS,
    run: RUN,
    holder: "clerk",
    life: { value: "running" },
    inputs: new Map<string, Digest>(),
    proposals: new Map<string, object>(),
    approvals: new Map<string, object>(),
    actions: new Map<string, object>(),
  };
  return { personal, view, apply, bytes, store, key, erase, state, action, of: state as unknown as RunState };
}
type Scene = Awaited<ReturnType<typeof scene>>;

const input = (kind: RunInput["kind"], by: string, id: string, body: object) => ({ kind, actor: by, id, time: AT, hash: canonicalDigest(body as JsonValue), body }) as unknown as RunInput;
const proposes = (tool: string, value: JsonValue, by = "clerk", id = "p1") => input("propose", by, id, { kind: "tool", id, tool, input: value });
const ANN = { customer: "c7", email: "ann@example.com" };
const SUBJECT_OF: Record<string, string> = { propose: "propose.clerk.clerk_1", decide: "decide.ann.clerk_1", control: "control.op.clerk_1" };

/** An input sealed, and whether nothing of it has to be taken off the disk. */
function seal({ personal, of }: Scene, one: RunInput, by = fetcher()) {
  const done: string[] = [];
  // in nobody's hand it is not shredded: what acknowledges it says that it is clean
  const careful = personal.careful(message(`signalbox.${NS}.part.1.${SUBJECT_OF[one.kind] ?? SUBJECT_OF["propose"]}`, {}, { done, inHand: false }));
  const sealed = personal.seal(of, one, careful, by.fetching);
  careful.ack();
  return { sealed, body: sealed.body as never as Record<string, never>, same: sealed === one, clean: done.length > 0, ...by };
}
const UNTOUCHED = { same: true, clean: true };
const told = ({ same, clean }: { same: boolean; clean: boolean }) => ({ same, clean });
const opened = (key: SubjectKey, value: JsonValue | undefined) => {
  const sealed = sealedIn(value);
  return sealed && openValue(key, NS, RUN, sealed);
};

describe("law 10: a proposal of an agent", () => {
  it("is sealed where its tool marks a field, and is remembered as it is recorded", async () => {
    const one = await scene();
    const key = one.key("c7");
    const said = proposes("mail", ANN);
    const { sealed, body, clean, calls } = seal(one, said);
    const { email, ...rest } = body["input"] as unknown as { email: JsonValue };
    assert.deepEqual([rest, opened(key, email), sealedIn(email)?.at], [{ customer: "c7" }, ANN.email, "propose/clerk/p1/email"]);
    assert.deepEqual(sealed, { ...said, body: { kind: "tool", id: "p1", tool: "mail", input: { ...rest, email } }, hash: canonicalDigest(sealed.body as unknown as JsonValue) });
    assert.deepEqual([clean, calls], [false, []], "it is taken off the disk, and nothing is asked for in vain");
  });

  it("is the same object, and stays on the disk, where nothing in it is marked or it is no call", async () => {
    const one = await scene();
    assert.deepEqual(told(seal(one, proposes("plain", ANN))), UNTOUCHED);
    assert.deepEqual(told(seal(one, proposes("mail", { customer: "c7" }))), UNTOUCHED);
    assert.deepEqual(told(seal(one, input("propose", "clerk", "p1", { kind: "note", id: "p1", text: "x", tool: "none" }))), UNTOUCHED);
    assert.deepEqual(told(seal(one, input("due", "", "p1", { timer: "wall", armed: 1 }))), UNTOUCHED);
  });

  it("is withheld whole where its tool is not known, but not in a namespace that marks nothing", async () => {
    const { body, sealed, clean } = seal(await scene(), proposes("none", ANN));
    assert.deepEqual(body["input"], withheldValue("unknown_tool"));
    assert.deepEqual([sealed.hash, clean], [canonicalDigest(sealed.body as unknown as JsonValue), false]);
    const bare = await scene([toolOf("plain"), contractOf()]);
    assert.equal(bare.personal.any, false);
    assert.equal(seal(bare, proposes("none", ANN)).same, true);
  });

  it("is sealed by what the contract in force marks as well", async () => {
    const one = await scene([toolOf("mail", [EMAIL]), contractOf({ personal: [NUMBER] })]);
    const key = one.key("c7");
    const { email, number } = seal(one, proposes("mail", { ...ANN, number: "0170" })).body["input"] as unknown as Record<string, JsonValue>;
    assert.deepEqual([opened(key, email), opened(key, number)], [ANN.email, "0170"]);
  });

  it("that will be refused, of whoever holds not the run or of a run that has ended, leaves no trace and has no key made; a known one is found again", async () => {
    const one = await scene();
    const refused = (said: RunInput) => {
      const { same, clean, asked } = seal(one, said);
      assert.deepEqual([same, clean, asked], [true, false, []]);
    };
    refused(proposes("mail", ANN, "stranger"));
    one.state.life = { value: "completed" };
    refused(proposes("mail", ANN));
    one.key("c7");
    const known = { ...one.state, inputs: new Map([["propose/clerk/p1", sha256Digest("x")]]) };
    assert.equal(seal({ ...one, of: known as unknown as RunState }, proposes("mail", ANN)).same, false);
  });
});

describe("law 10: what a person or a gateway says of an action", () => {
  const NAMED = {} as DocumentFacts;
  const tools = (one: Scene, name: string): DocumentFacts => ({ tool: one.view.tool(name)?.digest }) as unknown as DocumentFacts;

  it("an edit is sealed by its action's tool; without one, or of a request that nobody made, nothing is", async () => {
    const one = await scene();
    const key = one.key("c7");
    one.state.approvals.set("q3", { context: { action: "a2" } });
    one.state.actions.set("a2", one.action("mail", NAMED));
    const body = { request: "q3", id: "d1", verdict: "approve" };
    const { sealed } = seal(one, input("decide", "ann", "d1", { ...body, input: ANN }));
    const { input: edited, ...rest } = sealed.body as unknown as { input: { email: JsonValue } };
    assert.deepEqual([rest, opened(key, edited.email), sealedIn(edited.email)?.at], [body, ANN.email, "decide/ann/d1/email"]);
    one.state.actions.set("a2", one.action("none", NAMED));
    assert.deepEqual(told(seal(one, input("decide", "ann", "d1", body))), UNTOUCHED);
    assert.deepEqual(told(seal(one, input("decide", "ann", "d1", { ...body, request: "q9", input: ANN }))), UNTOUCHED);
    assert.deepEqual(seal(one, input("decide", "ann", "d1", { ...body, input: ANN })).body["input"], withheldValue("unknown_tool"));
  });

  for (const [kind, by, more] of [["report", "gate", { attempt: 1 }], ["control", "op", { verb: "resolve" }]] as const) {
    it(`an output that comes by a ${kind} is sealed by the documents its action was approved by, its subject found in what was asked`, async () => {
      const one = await scene();
      const key = one.key("c7");
      const approved = tools(one, "mail");
      await one.apply(...parsed(toolOf("mail", [NUMBER])));
      one.state.actions.set("a2", one.action("mail", approved, { customer: "c7" }));
      const body = { id: "r1", action: "a2", ...more };
      const { sealed, read } = seal(one, input(kind, by, "r1", { ...body, output: { email: ANN.email, number: "0170" } }));
      const { output, ...rest } = sealed.body as unknown as { output: Record<string, JsonValue> };
      assert.deepEqual([rest, output["number"], opened(key, output["email"])], [body, "0170", ANN.email]);
      assert.deepEqual([sealedIn(output["email"])?.at, read], [`${kind}/${by}/r1/email`, []]);
      // an action from before requests were recorded: nobody can say whose it is
      one.state.actions.set("a2", one.action("mail", approved));
      const orphan = seal(one, input(kind, by, "r1", { ...body, output: { email: ANN.email } })).body["output"] as unknown as Record<string, JsonValue>;
      assert.deepEqual(orphan["email"], withheldValue("no_subject"));
    });

    it(`a ${kind} without an output, of an action that nobody knows, is what it was`, async () => {
      const one = await scene();
      one.state.actions.set("a2", one.action("none", NAMED));
      assert.deepEqual(told(seal(one, input(kind, by, "r1", { id: "r1", action: "a2", ...more }))), UNTOUCHED);
      assert.deepEqual(told(seal(one, input(kind, by, "r1", { id: "r1", action: "a9", ...more, output: ANN }))), UNTOUCHED);
    });
  }

  it("a control that resolves nothing has nothing personal", async () => {
    const one = await scene();
    one.state.actions.set("a2", one.action("none", NAMED));
    assert.deepEqual(told(seal(one, input("control", "op", "r1", { verb: "cleanse", id: "r1", action: "a2", output: ANN }))), UNTOUCHED);
  });

  it("an output is withheld where no tool was named, and where the one that was is not at hand it is fetched first", async () => {
    const one = await scene();
    const body = { id: "r1", action: "a2", attempt: 1, output: ANN };
    for (const [named, wanted] of [[NAMED, []], [{ tool: sha256Digest("x") } as unknown as DocumentFacts, [sha256Digest("x")]]] as const) {
      one.state.actions.set("a2", one.action("mail", named));
      const { body: recorded, read } = seal(one, input("report", "gate", "r1", body));
      assert.deepEqual([recorded["output"], read], [withheldValue("unknown_tool"), wanted]);
    }
  });
});

describe("law 10: marks of the documents that an action was approved by", () => {
  it("are the tool's and those of the contract of then: the one in force is at hand, another is fetched, and what is no contract marks nothing", async () => {
    const one = await scene([toolOf("mail", [EMAIL]), contractOf({ personal: [NUMBER] })]);
    const tool = one.view.tool("mail")?.digest as Digest;
    const then = one.view.contract(actor("clerk"))?.digest as Digest;
    const under = (contract: Digest | undefined, bytes = one.bytes) => {
      const by = fetcher(bytes);
      const marks = one.personal.marksUnder({ tool, ...(contract && { contract }) } as unknown as DocumentFacts, actor("clerk"), by.fetching);
      return [marks?.map(({ path }) => path.join(".")), by.read];
    };
    assert.deepEqual(under(then), [["email", "number"], []]);
    assert.deepEqual(under(undefined), [["email"], []]);
    await one.apply(...parsed(contractOf()));
    assert.deepEqual(under(then), [["email", "number"], [then]]);
    assert.deepEqual(under(then, () => null), [["email"], [then]]);
    assert.deepEqual(under(tool), [["email"], [tool]]);
    assert.deepEqual(under(one.view.contract(actor("clerk"))?.digest), [["email"], []]);
  });
});

describe("CORE-5 and law 10: an input that comes again", () => {
  /** It came while `then` was in force; now the tool marks the number. */
  async function again(then: readonly Marked[], kind: "propose" | "decide" = "propose") {
    const one = await scene([toolOf("mail", then), toolOf("crowd", [PEOPLE]), contractOf()]);
    one.key("c7");
    const said = kind === "propose" ? proposes("mail", { ...ANN, number: "0170" }) : input("decide", "clerk", "p1", { request: "q3", id: "p1", input: { ...ANN, number: "0170" } });
    const tool = one.view.tool("mail")?.digest;
    one.state.proposals.set("clerk/p1", { action: "a2" });
    one.state.approvals.set("q3", { context: { action: "a2" } });
    one.state.actions.set("a2", one.action("mail", { tool } as unknown as DocumentFacts));
    const first = seal(one, said).sealed;
    await one.apply(...parsed(toolOf("mail", [NUMBER])));
    one.state.inputs.set(`${kind}/clerk/p1`, first.hash);
    return { one, said, first, second: () => seal(one, said).sealed };
  }

  it("is known as the same although its tool marks something else by now", async () => {
    for (const then of [[EMAIL], [EMAIL, NUMBER], []]) {
      const { one, first, second } = await again(then);
      assert.deepEqual(second(), first);
      one.state.inputs.clear();
      assert.notDeepEqual(second().hash, first.hash);
    }
  });

  it("is another one where it says something else, or where nobody knows any more what was marked", async () => {
    const { one, second, said } = await again([EMAIL]);
    const now = () => {
      const { hash, body } = second();
      assert.equal(hash, canonicalDigest(body as unknown as JsonValue));
      const { email, number } = (body as never as { input: Record<string, JsonValue> }).input;
      assert.deepEqual([email, sealedIn(number) !== undefined], [ANN.email, true]);
    };
    const known = one.state.inputs.get("propose/clerk/p1");
    one.state.inputs.set("propose/clerk/p1", sha256Digest("x"));
    now();
    one.state.inputs.set("propose/clerk/p1", known as Digest);
    for (const named of [{}, { tool: sha256Digest("x") }]) {
      one.state.actions.set("a2", one.action("mail", named as unknown as DocumentFacts));
      now();
    }
    one.state.proposals.clear();
    now();
    assert.equal(said.kind, "propose");
  });

  it("is looked for among proposals where it is one: a person's word of the same name and id was sealed by no proposal's tool", async () => {
    const { first, second } = await again([EMAIL], "decide");
    assert.notEqual(second().hash, first.hash);
  });
});

describe("law 10: keys at hand", () => {
  it("what a subject has no key for yet waits until one is made, asked for once", async () => {
    const one = await scene([toolOf("mail", [EMAIL, NUMBER]), contractOf()]);
    const { asked, calls } = seal(one, proposes("mail", { ...ANN, number: "0170" }));
    assert.deepEqual([asked, calls], [[{ subject: pseudonym("c7"), wanted: "make" }], [1]]);
  });

  it("AUD-3: what was said until a subject was erased is withheld, what is said later has a new key", async () => {
    for (const [at, kept] of [[BEFORE, true], [AT, false], ["2026-01-31T09:30:00.001Z", false]] as const) {
      const one = await scene();
      one.erase(one.key("c7"), at);
      one.key("c7");
      const { email } = seal(one, proposes("mail", ANN)).body["input"] as unknown as { email: JsonValue };
      assert.deepEqual(kept ? sealedIn(email)?.subject : withheldIn(email), kept ? pseudonym("c7") : "erased");
    }
  });

  it("without the plane's own key what is personal is withheld, and opens as what nobody can read", async () => {
    const one = await scene();
    const bare = new Personal({ nc: NOBODY, ns: NS, publisher: {} as Publisher, registry: one.view, master: undefined, log: {} as Logger });
    assert.equal(bare.keys, undefined);
    const { body, calls } = seal({ ...one, personal: bare }, proposes("mail", ANN));
    assert.deepEqual([body["input"], calls], [{ customer: "c7", email: withheldValue("no_key") }, []]);
    const sealed = sealedValue(sealValue(one.key("c7"), NS, RUN, "propose/clerk/p1/email", ANN.email));
    const { faults, plain } = bare.open(one.of, { email: sealed }, EMAILS, fetcher().fetching);
    assert.deepEqual([faults.map(({ code }) => code), plain], [["personal.erased"], { email: sealed }]);
  });

  it("of one value a thousand subjects have keys, and what is of more is withheld", async () => {
    const one = await scene();
    const people = Array.from({ length: 1001 }, (_, id) => ({ id: `p${id}`, name: "Ann" }));
    for (const { id } of people) one.key(id);
    const { people: sealed } = seal(one, proposes("crowd", { people })).body["input"] as unknown as { people: { name: JsonValue }[] };
    assert.deepEqual(sealed.map(({ name }) => sealedIn(name) !== undefined).indexOf(false), 1000);
    assert.deepEqual(withheldIn(sealed[1000]?.name), "no_key");
    const more = people.map(({ id }) => ({ id, name: sealedValue(sealValue(one.key(id), NS, RUN, "x", "Ann")) }));
    const { fetching, calls } = fetcher();
    const { faults, plain } = one.personal.open(one.of, { people: more }, CROWD, fetching);
    assert.deepEqual([faults.map(({ code, path }) => [code, path]), calls], [[["personal.erased", "/people/1000/name"]], []]);
    assert.equal((plain as { people: { name: string }[] }).people[999]?.name, "Ann");
  });
});

const EMAILS = marksOf({ name: "t", personal: [EMAIL] } as never);
const CROWD = marksOf({ name: "t", personal: [PEOPLE] } as never);

describe("law 10: opening", () => {
  const sealedBy = (key: SubjectKey) => sealedValue(sealValue(key, NS, RUN, "propose/clerk/p1/email", ANN.email));

  it("gives the value under the key that sealed it, which is not asked for when it is at hand", async () => {
    const one = await scene();
    const { fetching, calls } = fetcher();
    assert.deepEqual(one.personal.open(one.of, { email: sealedBy(one.key("c7")) }, EMAILS, fetching), { plain: { email: ANN.email }, said: { email: ANN.email }, faults: [], erased: false });
    assert.deepEqual(calls, []);
  });

  it("waits for the key by its name, once for a subject", async () => {
    const one = await scene();
    const [first, second] = [master.newKey(pseudonym("c7")), master.newKey(pseudonym("c7"))];
    const { fetching, asked } = fetcher();
    one.personal.open(one.of, { people: [{ name: sealedBy(first) }, { name: sealedBy(second) }, { name: sealedBy(one.key("c8")) }] }, CROWD, fetching);
    assert.deepEqual(asked, [{ subject: pseudonym("c7"), wanted: first.id }]);
  });

  it("AUD-3: gives nothing under a key that was erased, says so, and asks for no other", async () => {
    const one = await scene();
    const key = one.key("c7");
    one.erase(key, AT);
    const { fetching, calls } = fetcher();
    const { faults, erased } = one.personal.open(one.of, { email: sealedBy(key) }, EMAILS, fetching);
    assert.deepEqual([faults.map(({ code }) => code), erased, calls], [["personal.erased"], true, []]);
  });
});

describe("AUD-3: an erasure as it is recorded", () => {
  const asked = (body: object) => ({ kind: "control", actor: "op", id: "e1", time: AT, hash: sha256Digest("as it came"), body }) as never;

  it("names the subject by its pseudonym, and is remembered so", async () => {
    const { personal } = await scene();
    const body = { verb: "erase", id: "e1", subject: pseudonym("c7"), reason: "asked" };
    assert.deepEqual(personal.erasure(asked({ ...body, subject: "c7" })), { ...(asked(body) as object), hash: canonicalDigest(body) });
    const done = asked({ verb: "destroyed", id: "e1", subject: pseudonym("c7"), key: "0123456789abcdef" as KeyId });
    assert.deepEqual(personal.erasure(done), done);
  });

  it("is none where the plane has no key for personal data", async () => {
    const { view } = await scene();
    const bare = new Personal({ nc: NOBODY, ns: NS, publisher: {} as Publisher, registry: view, master: undefined, log: {} as Logger });
    assert.throws(() => bare.erasure(asked({ verb: "erase", id: "e1", subject: "c7", reason: "asked" })), /^Error: this coordinator was started without the plane's key for personal data$/);
  });
});
