/** Whose yes counts, for what, and how often: an approval cannot be made, moved, kept or used twice (APP-2, APP-3). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { JsonValue } from "../../schemas/json.ts";
import type { Heard, TestActor } from "../harness/plane.ts";
import { type Attempt, MALLORY, PRINCIPAL, TOOLS, type Town, asked, said, startTown, tried } from "./town.ts";

let town: Town;
let ann: TestActor;
let bob: TestActor;
before(async () => {
  town = await startTown();
  [ann, bob] = [await town.approver("ann"), await town.approver("bob")];
});
after(() => town?.stop());

interface Waiting {
  readonly run: string;
  readonly action: string;
  readonly request: string;
  readonly digest: string;
}
const LARGE = { to: "yacht-shop", amount: 5000, currency: "USD" };
let ids = 0;

/** Something that a person is asked about. */
async function waiting(town: Town, tool = "pay.send", input: JsonValue = LARGE, run?: string): Promise<Waiting> {
  const on = run ?? (await town.run());
  const heard = await town.call(on, tool, input);
  assert.equal(heard.status, "pending", JSON.stringify(heard));
  return { run: on, action: heard.answer?.action as string, ...(await asked(town, on, heard.answer)) };
}

/** Decides and hears: the rejection, or the event that the decision led to. */
async function decide(town: Town, who: TestActor, { run, request, digest }: Waiting, more: { readonly [field: string]: unknown } = {}): Promise<Heard> {
  const id = `d-${++ids}`;
  const body = { id, request, decision: "approve", digest, ...more };
  const taken = town.event(run, /^approval\./, ({ body: { cause } }) => cause.id === id && cause.actor === who.name);
  return Promise.race([who.hear("decide", run, body), taken.then(({ body: { type } }): Heard => ({ status: type, codes: [] }))]);
}

const REFUSALS: readonly Attempt[] = [
  {
    title: "APP-3 the agent's own name as an approver's: it cannot agree to what it proposed",
    hears: "turned away approval.self",
    attempt: async (town) => decide(town, await town.approver(MALLORY), await waiting(town)),
  },
  {
    title: "APP-3 the principal with a second name is the same person, and cannot agree to what is done on its behalf",
    hears: "turned away approval.self",
    attempt: async (town) => decide(town, await town.approver("nobody-you-know", { subject: PRINCIPAL }), await waiting(town)),
  },
  {
    title: "APP-3 a person whom nobody knows decides nothing",
    hears: "turned away person.unknown",
    attempt: async (town) => decide(town, await town.approver("stranger", null), await waiting(town)),
  },
  {
    title: "APP-3 a person without the role that is asked decides nothing",
    hears: "turned away approval.role",
    attempt: async (town) => decide(town, await town.approver("clerk", { roles: ["clerk"] }), await waiting(town)),
  },
  {
    title: "APP-3 a person who was disabled decides nothing",
    hears: "turned away actor.revoked",
    attempt: async (town) => decide(town, await town.approver("gone", { disabled: true }), await waiting(town)),
  },
  {
    title: "APP-2 a yes to another digest than that of what is asked is no yes",
    hears: "turned away approval.wrong_digest",
    attempt: async (town) => decide(town, ann, { ...(await waiting(town)), digest: `sha256:${"0".repeat(64)}` }),
  },
  {
    title: "APP-2 the digest of a small payment does not approve a large one",
    hears: "turned away approval.wrong_digest",
    attempt: async (town) => {
      const small = await waiting(town, "pay.send", { ...LARGE, amount: 101 });
      return decide(town, ann, { ...(await waiting(town)), digest: small.digest });
    },
  },
  {
    title: "APP-2 an approval is used once: given again, for the same request, it is closed",
    hears: "turned away approval.closed",
    happens: ["pay.send"],
    attempt: async (town) => {
      const one = await waiting(town);
      assert.equal((await decide(town, ann, one)).status, "approval.granted");
      await town.event(one.run, "action.verified");
      return decide(town, ann, one);
    },
  },
  {
    title: "APP-2 an approval for one run is none for another, though they propose the same",
    hears: /^turned away approval\.(unknown|wrong_digest)/,
    happens: ["pay.send"],
    attempt: async (town) => {
      const [one, other] = [await waiting(town), await waiting(town)];
      assert.equal((await decide(town, ann, one)).status, "approval.granted");
      await town.event(one.run, "action.verified");
      return decide(town, ann, { ...one, run: other.run });
    },
  },
  {
    title: "APP-2 an approval does not make the same proposal under another id approved",
    hears: /^pending /,
    happens: ["pay.send"],
    attempt: async (town) => {
      const one = await waiting(town);
      await decide(town, ann, one);
      await town.event(one.run, "action.verified");
      return town.call(one.run, "pay.send", LARGE);
    },
  },
  {
    title: "APP-2 after a cancel there is nothing left to agree to",
    hears: /^turned away (approval\.closed|run\.ended)/,
    attempt: async (town) => {
      const one = await waiting(town);
      await (await town.operator()).send("control", one.run, { verb: "cancel", id: "c" });
      await town.event(one.run, "run.cancelled");
      return decide(town, ann, one);
    },
  },
  {
    title: "APP-2 a yes after its time is none, though it was asked for in time",
    hears: "turned away approval.expired",
    attempt: async (town) => {
      const one = await waiting(town, "gate.open", { name: "north" });
      await town.event(one.run, "approval.expired");
      return decide(town, ann, one);
    },
  },
  {
    title: "APP-3 one person is one approver, under two names too",
    hears: "turned away approval.twice",
    attempt: async (town) => {
      const one = await waiting(town, "vault.open", { name: "gold" });
      assert.equal((await decide(town, ann, one)).status, "approval.granted");
      return decide(town, await town.approver("ann-at-home", { subject: "ann" }), one);
    },
  },
  {
    title: "APP-3 two persons are two",
    hears: "approval.granted",
    happens: ["vault.open"],
    attempt: async (town) => {
      const one = await waiting(town, "vault.open", { name: "silver" });
      await decide(town, ann, one);
      const second = await decide(town, bob, one);
      await town.event(one.run, "action.verified");
      return second;
    },
  },
  {
    title: "APP-3 an edit is not an approval: what the editor wrote is judged anew, and asked about again",
    hears: /^approval\.edited/,
    attempt: async (town) => {
      const one = await waiting(town);
      const edited = await decide(town, ann, one, { decision: "edit", input: { ...LARGE, amount: 4000 } });
      await town.event(one.run, "approval.requested", ({ body }) => body.data["request"] !== one.request);
      return edited;
    },
  },
  {
    title: "APP-3 a yes to what was edited since is a yes to nothing",
    hears: "turned away approval.closed",
    attempt: async (town) => {
      const one = await waiting(town);
      await decide(town, ann, one, { decision: "edit", input: { ...LARGE, amount: 4001 } });
      return decide(town, bob, one);
    },
  },
  {
    title: "APP-3 an approval does not stand beyond what the contract lets it",
    hears: /^turned away standing\./,
    attempt: async (town) => {
      const one = await waiting(town, "card.charge", { to: "shop", amount: 20 });
      return decide(town, ann, one, { standing: { vary: ["/amount", "/to"], uses: 1000, expires_seconds: 86_400 } });
    },
  },
  {
    title: "APP-3 an approval that stands covers amounts up to its sum, and asks for the next",
    hears: /^pending /,
    happens: ["card.charge", "card.charge"],
    attempt: async (town) => {
      const one = await waiting(town, "card.charge", { to: "shop", amount: 40 });
      await decide(town, ann, one, { standing: { vary: ["/amount"], uses: 2, max_amount: "50", max_total: "80", expires_seconds: 600 } });
      await town.event(one.run, "action.verified");
      assert.equal((await town.call(one.run, "card.charge", { to: "shop", amount: 45 })).status, "succeeded");
      return town.call(one.run, "card.charge", { to: "shop", amount: 45 });
    },
  },
  {
    title: "APP-3 an approval that stands for one target stands for no other",
    hears: /^pending /,
    happens: ["card.charge"],
    attempt: async (town) => {
      const one = await waiting(town, "card.charge", { to: "friend", amount: 10 });
      await decide(town, ann, one, { standing: { vary: ["/amount"], uses: 2, max_amount: "50", max_total: "80", expires_seconds: 600 } });
      await town.event(one.run, "action.verified");
      return town.call(one.run, "card.charge", { to: "foe", amount: 10 });
    },
  },
];
tried(() => town, REFUSALS);

test("APP-2 an approval goes stale when the tool changed since it was asked: a new request is raised, and nothing is done on the old yes", async () => {
  const one = await waiting(town);
  const changed = TOOLS.find(({ name }) => name === "pay.send");
  await town.applyValues([{ ...changed, description: "changed since" }]);
  const before = town.effects.length;
  const heard = await decide(town, ann, one);
  assert.equal(heard.status, "approval.stale");
  const again = await town.event(one.run, "approval.requested", ({ body }) => body.data["request"] !== one.request);
  assert.notEqual(again.body.data["digest"], one.digest);
  assert.equal(town.effects.length, before);
  assert.match(said(await decide(town, ann, one)), /^turned away approval\.closed/);
  const { request, digest } = again.body.data as { request: string; digest: string };
  assert.equal((await decide(town, ann, { ...one, request, digest })).status, "approval.granted");
  await town.event(one.run, "action.verified");
  assert.deepEqual(town.effects.slice(before).map(({ tool }) => tool), ["pay.send"]);
});

test("APP-3 who agreed and was revoked before the claim does not count: the action goes back to be asked about", async () => {
  await town.gateway.stop(0);
  const zoe = await town.approver("zoe");
  const one = await waiting(town);
  assert.equal((await decide(town, zoe, one)).status, "approval.granted");
  await town.event(one.run, "action.dispatched");
  const operator = await town.operator("olga");
  await operator.send("control", "guard:stops", { verb: "revoke", id: "r", scope: "person:zoe", reason: "her laptop was stolen" });
  const before = town.effects.length;
  await town.startGateway();
  const again = await town.event(one.run, "approval.requested", ({ body }) => body.data["request"] !== one.request);
  assert.ok(again);
  assert.equal(town.effects.length, before);
});
