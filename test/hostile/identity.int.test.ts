/** Somebody else's name, token or credential: none of them can be had (ID-2, ID-3). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type StreamKind, streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { TEST_ISS, personDocument, testIssuer } from "../harness/issuer.ts";
import type { Heard } from "../harness/plane.ts";
import { ALICE, MALLORY, type Town, said, start, startTown, tried } from "./town.ts";

let town: Town;
before(async () => {
  town = await startTown();
});
after(() => town?.stop());

const stranger = testIssuer();
const HOUR = 3600;
const now = () => Math.floor(Date.now() / 1000);
/** Every token that was sent, to be looked for in every stream. */
const tokens = new Set<string>();
let runs = 0;

async function startWith(town: Town, token: string | undefined, run = `${MALLORY}_i${++runs}`): Promise<Heard> {
  if (token !== undefined) tokens.add(token);
  return town.mallory.hear("propose", run, start(MALLORY), { headers: { "signalbox-principal": token ?? "" } });
}
const own = (town: Town, more: Partial<Parameters<typeof town.issuer.token>[0]> = {}) => {
  const run = `${MALLORY}_i${++runs}`;
  return { run, token: town.issuer.token({ agent: MALLORY, run, ...more }) };
};

/** Tokens that say what they should not, or are not what they say. */
const FORGED: readonly (readonly [what: string, code: string, (town: Town) => { readonly run: string; readonly token: string }])[] = [
  ["is not signed", "principal.algorithm", (town) => own(town, { sign: "none" })],
  ["is signed with the public key as if it were a secret", "principal.algorithm", (town) => own(town, { sign: "hmac" })],
  ["is signed by somebody else under the issuer's name", "principal.signature", () => ownBy(stranger, { header: { kid: town.issuer.kid } })],
  ["is signed by a key that the issuer does not have", "principal.key", () => ownBy(stranger, {})],
  ["is of an issuer that nobody knows", "principal.issuer", (town) => own(town, { claims: { iss: "https://elsewhere.test" } })],
  ["is for another audience", "principal.audience", (town) => own(town, { claims: { aud: "another-plane" } })],
  ["is for no audience", "principal.audience", (town) => own(town, { claims: { aud: undefined } })],
  ["has ended", "principal.expired", (town) => own(town, { claims: { iat: now() - HOUR, exp: now() - 1 } })],
  ["never ends", "principal.lifetime", (town) => own(town, { claims: { exp: undefined } })],
  ["lives longer than its issuer's may", "principal.lifetime", (town) => own(town, { claims: { exp: now() + 100 * HOUR } })],
  ["is not valid yet", "principal.not_yet", (town) => own(town, { claims: { nbf: now() + HOUR } })],
  ["names another agent", "principal.agent", (town) => ({ run: `${MALLORY}_i${++runs}`, token: town.issuer.token({ agent: ALICE, run: `${MALLORY}_i${runs}` }) })],
  ["names another run", "principal.run", (town) => ({ run: `${MALLORY}_i${++runs}`, token: town.issuer.token({ agent: MALLORY, run: `${MALLORY}_other` }) })],
  ["names no run, and has no id", "principal.run", (town) => own(town, { claims: { run: undefined } })],
  ["names no subject", "principal.subject", (town) => own(town, { claims: { sub: undefined } })],
  ["is cut off", "principal.malformed", (town) => cutOff(own(town))],
  ["was changed after it was signed", "principal.signature", (town) => changed(own(town))],
  ["is no token and no name", "principal.malformed", () => ({ run: `${MALLORY}_i${++runs}`, token: "Bearer {\"sub\":\"admin\"}" })],
  ["is too long", "principal.too_long", (town) => own(town, { claims: { groups: "x".repeat(20_000) } })],
];

function ownBy(issuer: typeof stranger, more: object): { run: string; token: string } {
  const run = `${MALLORY}_i${++runs}`;
  return { run, token: issuer.token({ agent: MALLORY, run, ...more }) };
}
const cutOff = ({ run, token }: { run: string; token: string }) => ({ run, token: token.split(".").slice(0, 2).join(".") });
function changed({ run, token }: { run: string; token: string }): { run: string; token: string } {
  const [head, body = "", signature] = token.split(".");
  const claims = { ...(JSON.parse(Buffer.from(body, "base64url").toString()) as object), sub: "root" };
  return { run, token: [head, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".") };
}

tried(() => town, [
  ...FORGED.map(([what, code, forged]) => ({
    title: `ID-3 a token that ${what}: the start is refused`,
    hears: new RegExp(`^refused (.* )?${code.replace(".", "\\.")}( |$)`),
    attempt: async (town: Town) => {
      const { run, token } = forged(town);
      return startWith(town, token, run);
    },
  })),
  {
    title: "ID-3 a token by its own id starts the run of that id, and no second one",
    hears: "refused principal.run",
    attempt: async (town) => {
      const token = town.issuer.token({ agent: MALLORY, claims: { jti: "single-use" } });
      assert.equal((await startWith(town, token, `${MALLORY}_single-use`)).status, "started");
      return startWith(town, token, `${MALLORY}_second-use`);
    },
  },
  {
    title: "ID-3 a token that started a run starts no other one",
    hears: "refused principal.run",
    attempt: async (town) => {
      const { run, token } = own(town);
      assert.equal((await startWith(town, token, run)).status, "started");
      return startWith(town, token);
    },
  },
  {
    title: "ID-3 a token stolen from another agent starts nothing",
    hears: /^refused principal\.agent/,
    attempt: async (town) => startWith(town, town.issuer.token({ agent: ALICE, run: `${ALICE}_1` })),
  },
  {
    title: "ID-3 without a token a write is denied",
    hears: "denied principal.required",
    attempt: async (town) => {
      const run = `${MALLORY}_i${++runs}`;
      assert.equal((await startWith(town, undefined, run)).status, "started");
      assert.equal((await town.call(run, "web.read", { page: "x" })).status, "succeeded");
      return town.call(run, "note.write", { text: "x" });
    },
  },
  {
    title: "ID-3 a name that nobody has signed is worth as much as none",
    hears: "denied principal.required",
    attempt: async (town) => {
      const run = `${MALLORY}_i${++runs}`;
      assert.equal((await startWith(town, "ceo@example.com", run)).status, "started");
      return town.call(run, "pay.send", { to: "a", amount: 1, currency: "USD" });
    },
  },
  {
    title: "ID-3 a token brought later does not make a run that nobody vouched for another one's",
    hears: "turned away principal.other",
    attempt: async (town) => {
      const { run, token } = own(town, { subject: "somebody-else" });
      assert.equal((await startWith(town, town.issuer.token({ agent: MALLORY, run }), run)).status, "started");
      tokens.add(token);
      return town.call(run, "note.write", { text: "x" }, {}, { "signalbox-principal": token });
    },
  },
  {
    title: "ID-3 when the token has ended, the next write is denied, until a fresh one of the same principal comes",
    hears: "denied principal.expired, then succeeded",
    happens: ["note.write"],
    attempt: async (town) => {
      const { run, token } = own(town, { claims: { exp: now() + 2 } });
      assert.equal((await startWith(town, token, run)).status, "started");
      await ended(token);
      assert.equal((await town.call(run, "echo.say", { text: "reads go on" })).status, "succeeded");
      const denied = await town.call(run, "note.write", { text: "x" });
      const again = town.issuer.token({ agent: MALLORY, run });
      tokens.add(again);
      const fresh = await town.call(run, "note.write", { text: "with a fresh token" }, {}, { "signalbox-principal": again });
      return `${said(denied)}, then ${said(fresh)}`;
    },
  },
  {
    title: "CORE-1 nobody squats: a run is named after the agent that starts it",
    hears: "turned away run.prefix",
    attempt: async (town) => town.mallory.hear("propose", `${ALICE}_mine`, start(MALLORY)),
  },
  {
    title: "CORE-1 nor does an agent start a run as another one",
    hears: /^turned away run\.(not_holder|prefix)/,
    attempt: async (town) => town.mallory.hear("propose", `${MALLORY}_as-alice`, start(ALICE)),
  },
  {
    title: "CORE-1 nor propose in a run that another holds",
    hears: "turned away run.not_holder",
    attempt: async (town) => {
      const alice = await town.agent(ALICE);
      await alice.propose(`${ALICE}_hers`, start(ALICE) as never);
      return town.call(`${ALICE}_hers`, "pay.send", { to: "a", amount: 1, currency: "USD" });
    },
  },
  {
    title: "CORE-2 an id used again with other content is refused: an action cannot be swapped for another",
    hears: "turned away id.reused",
    happens: ["note.write"],
    attempt: async (town) => {
      const run = await town.run();
      assert.equal((await town.call(run, "note.write", { text: "harmless" }, { id: "same" })).status, "succeeded");
      return town.call(run, "pay.send", { to: "a", amount: 1, currency: "USD" }, { id: "same" });
    },
  },
  {
    title: "CORE-2 the same proposal again is the same: it is answered, and not done twice",
    hears: "succeeded",
    happens: ["note.write"],
    attempt: async (town) => {
      const run = await town.run();
      await town.call(run, "note.write", { text: "once" }, { id: "once" });
      return town.call(run, "note.write", { text: "once" }, { id: "once" });
    },
  },
]);

/** Until a token has ended by the server's clock, which is this machine's. */
async function ended(token: string): Promise<void> {
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp: number };
  await pause(exp * 1000 - Date.now() + 50);
}

test("ID-3 a principal that is disabled afterwards: what waited is not executed, and nothing more is proposed", async () => {
  const { run, token } = own(town, { subject: "leaver" });
  assert.equal((await startWith(town, token, run)).status, "started");
  const waiting = await town.call(run, "pay.send", { to: "leaver", amount: 500, currency: "USD" });
  assert.equal(waiting.status, "pending");
  const ann = await town.approver("ann");
  const event = await town.event(run, "approval.requested");
  const { request, digest } = event.body.data as { request: string; digest: string };
  await town.applyValues([personDocument("leaver", { subject: "leaver", issuer: TEST_ISS, disabled: true })]);
  const before = town.effects.length;
  await ann.send("decide", run, { id: "yes", request, decision: "approve", digest });
  const denied = await town.call(run, "note.write", { text: "x" });
  assert.match(said(denied), /^denied (guard|principal)\./);
  assert.equal(town.effects.length, before);
});

test("ID-3 no token stands anywhere in what the plane keeps", async () => {
  const nc = await town.server.connect("coordinator", "searcher");
  for (const kind of ["JOURNAL", "OUT", "REJECTED", "DISPATCH", "DOCUMENTS"] as const satisfies readonly StreamKind[]) {
    for await (const { data, subject } of new StreamReader(nc, streamName(kind, town.ns)).read({ subject: `signalbox.${town.ns}.>` })) {
      const text = Buffer.from(data).toString("latin1");
      for (const token of tokens) {
        // its signature is what makes it one
        const signature = token.split(".")[2] ?? "";
        if (signature.length > 20) assert.ok(!text.includes(signature), `${subject} holds a token`);
      }
    }
  }
});
