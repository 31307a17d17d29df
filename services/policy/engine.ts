/**
 * Cedar, and the two things about its WebAssembly build that must not reach anybody else:
 *
 * - its caches of parsed sets never evict, so sets live in a fixed number of slots that are used again
 * - a stack overflow inside leaves the instance broken for ever: every later call throws. Policies are bounded
 *   before they get here (see `split.ts`); should anything throw all the same, a fresh instance takes over.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";
import { type Alike, alike } from "./alike.ts";
import { type Fixed, mayApplyTo } from "./beside.ts";
import { type Reads, readsOf, reducedRequest, reducedSchema } from "./reads.ts";
import { mayApply } from "./scope.ts";

const require = createRequire(import.meta.url);
const MODULE = "@cedar-policy/cedar-wasm/nodejs";
/** The text of the schema that all policies are validated against. */
export const CEDAR_SCHEMA = readFileSync(new URL("./schema.cedarschema", import.meta.url), "utf8");

/** Policies by id. */
export type PolicyTexts = Readonly<Record<string, string>>;

/** A set that the instance holds, with the schema of what it reads, both under the slot's name. */
interface Slot {
  readonly name: string;
  readonly reads: Reads;
  /** Which requests are one to these policies. */
  readonly alike: Alike;
  /** Answers by what was sent, least recently given first; undefined where the policies read a time that never comes again. */
  readonly answers: Map<string, CedarAnswer> | undefined;
}

let cedar = start();
const SCHEMA_JSON = schemaJson();
/** By what they hold, in the order of their last use. */
let slots = new Map<string, Slot>();
const SLOTS = 64;

/** The policies of a set that can speak of an action, and which of them can speak of which calls. */
interface Plan {
  readonly policies: readonly { readonly id: string; readonly text: string; readonly json: Cedar.PolicyJson; readonly applies: (fixed: Fixed) => boolean }[];
  /** By what is fixed of a call: the policies that may apply, as `3,4,9`. */
  readonly some: Map<string, string>;
  /** Every choice that was met. Each is read by the engine once: where there are many, all policies are put to it. */
  readonly choices: Set<string>;
}
const plans = new Map<string, Plan>();
const MAX_PLANS = 64;
const MAX_KNOWN_CALLS = 4096;
const MAX_CHOICES = 16;
const ALL = "all";
/**
 * A judgement is a function of set and request: what was answered before is answered so again, at a hundredth of the
 * cost. Amounts, counts of steps and times hardly come again, and with them in the key four of five calls went to the
 * engine, a sixth of all that the coordinator did; by what the policies hold them against (`alike.ts`) hardly one does.
 */
const MAX_ANSWERS = 4096;
/** By the name that policies read: where it stands, what has another value with every call. */
const NEVER_AGAIN = { iso: "time.iso", epoch_seconds: "time.epoch_seconds", id: "run.id" };

export const CEDAR_ENGINE = `cedar ${cedar.getCedarVersion()}`;

function start(): typeof Cedar {
  delete require.cache[require.resolve(MODULE)];
  return require(MODULE) as typeof Cedar;
}

function schemaJson(): Cedar.SchemaJson<string> {
  const answer = cedar.schemaToJson(CEDAR_SCHEMA);
  if (answer.type === "failure") throw new Error(`the Cedar schema is wrong: ${messages(answer.errors)}`);
  return answer.json;
}

/** The engine gave up in a way that is no answer. Whoever asked must deny. */
export class CedarCrash extends Error {
  override readonly name = "CedarCrash";
}

/**
 * One call of the engine.
 * @throws CedarCrash when the engine breaks; the next call finds a fresh one
 */
export function withCedar<T>(call: (engine: typeof Cedar) => T): T {
  try {
    return call(cedar);
  } catch (cause) {
    if (cause instanceof NotMade) throw cause.cause;
    cedar = start();
    slots = new Map();
    throw new CedarCrash(`the policy engine broke: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export interface CedarAnswer {
  readonly decision: "allow" | "deny";
  /** Ids of the determining policies, sorted. */
  readonly reason: readonly string[];
  readonly errors: readonly string[];
}

export type CedarRequest = Pick<Cedar.StatefulAuthorizationCall, "principal" | "action" | "resource" | "context" | "entities">;

/**
 * Judges one request, validated against the schema. Anything but a clean answer is a denial with errors.
 * @param key names the set's content: the same key always means the same policies
 */
export function authorize(key: string, policies: PolicyTexts, request: CedarRequest): CedarAnswer {
  const action = "__entity" in request.action ? request.action.__entity.id : request.action.id;
  const side = (uid: Cedar.EntityUidJson) => {
    const { type, id } = "__entity" in uid ? uid.__entity : uid;
    const entity = request.entities.find((one) => "id" in one.uid && one.uid.id === id && one.uid.type === type);
    return { id, attrs: entity?.attrs ?? {} };
  };
  const fixed: Fixed = { principal: side(request.principal), resource: side(request.resource) };
  return authorizeCall(key, policies, action, fixed, () => request);
}

/** The same; the request is made once it is known what of it is read. */
export function authorizeCall(key: string, policies: PolicyTexts, action: string, fixed: Fixed, make: (reads: Reads) => CedarRequest): CedarAnswer {
  try {
    return withCedar((engine) => {
      const slot = slotOf(engine, `${key} ${action}`, policies, action, fixed);
      const sent = reducedRequest(making(() => make(slot.reads)), slot.reads);
      return slot.answers === undefined ? ask(engine, slot, sent) : remembered(slot.answers, keyOf(slot, sent), () => ask(engine, slot, sent));
    });
  } catch (error) {
    return denied([error instanceof Error ? error.message : String(error)]);
  }
}

/** A request that cannot be made is no fault of the engine's. */
class NotMade extends Error {
  override readonly name = "NotMade";
}

function making(make: () => CedarRequest): CedarRequest {
  try {
    return make();
  } catch (cause) {
    throw new NotMade("the request cannot be made", { cause });
  }
}

function ask(engine: typeof Cedar, slot: Slot, request: CedarRequest): CedarAnswer {
  const answer = engine.statefulIsAuthorized({
    ...request,
    preparsedPolicySetId: slot.name,
    preparsedSchemaName: slot.name,
    validateRequest: true,
  });
  if (answer.type === "failure") return denied(answer.errors.map((error) => error.message));
  const { decision, diagnostics } = answer.response;
  const errors = diagnostics.errors.map((error) => error.error.message).sort();
  // Cedar skips a policy that errors; a forbid that is skipped would allow
  return errors.length > 0 ? denied(errors) : { decision, reason: [...diagnostics.reason].sort(), errors };
}

/** What stands for a request in the memory of a slot: the same for all that the slot's policies cannot tell apart. */
function keyOf({ alike }: Slot, { principal, resource, context, entities }: CedarRequest): string {
  // one level deeper than what is put in place of values
  const copy: Cedar.Context = {};
  for (const name in context) copy[name] = isRecord(context[name]) ? { ...context[name] } : (context[name] as Cedar.CedarValueJson);
  return JSON.stringify([principal, resource, alike.put(copy), entities]);
}

function isRecord(value: Cedar.CedarValueJson | undefined): value is Record<string, Cedar.CedarValueJson> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function remembered(answers: Map<string, CedarAnswer>, request: string, judge: () => CedarAnswer): CedarAnswer {
  const known = answers.get(request);
  if (known !== undefined) answers.delete(request);
  const answer = known ?? judge();
  answers.set(request, answer);
  if (answers.size > MAX_ANSWERS) {
    const [oldest] = answers.keys();
    if (oldest !== undefined) answers.delete(oldest);
  }
  return answer;
}

/** One for each action, and for each choice of policies that calls of it need. */
function slotOf(engine: typeof Cedar, key: string, policies: PolicyTexts, action: string, fixed: Fixed): Slot {
  const plan = planOf(engine, key, policies, action);
  const choice = choiceOf(plan, fixed);
  const name = `${key} ${choice}`;
  const known = slots.get(name);
  if (known === undefined) {
    const chosen = choice === ALL ? plan.policies : choice.split(",").flatMap((index) => plan.policies[index === "" ? -1 : Number(index)] ?? []);
    return made(engine, name, chosen);
  }
  slots.delete(name);
  slots.set(name, known);
  return known;
}

function planOf(engine: typeof Cedar, key: string, policies: PolicyTexts, action: string): Plan {
  const known = plans.get(key);
  if (known !== undefined) return known;
  const parsed = Object.entries(policies).map(([id, text]) => ({ id, text, json: policyJson(engine, text) }));
  const relevant = parsed.filter(({ json }) => mayApply(json, action)).map((policy) => ({ ...policy, applies: mayApplyTo(policy.json) }));
  const plan: Plan = { policies: relevant, some: new Map(), choices: new Set() };
  plans.set(key, plan);
  const [oldest] = plans.keys();
  if (plans.size > MAX_PLANS && oldest !== undefined) plans.delete(oldest);
  return plan;
}

function choiceOf(plan: Plan, fixed: Fixed): string {
  const call = JSON.stringify(fixed);
  const known = plan.some.get(call);
  if (known !== undefined) return known;
  const indexes = plan.policies.flatMap(({ applies }, index) => (applies(fixed) ? [index] : []));
  const some = indexes.length === plan.policies.length ? ALL : indexes.join(",");
  const choice = plan.choices.has(some) || plan.choices.size < MAX_CHOICES ? some : ALL;
  plan.choices.add(choice);
  plan.some.set(call, choice);
  const [oldest] = plan.some.keys();
  if (plan.some.size > MAX_KNOWN_CALLS && oldest !== undefined) plan.some.delete(oldest);
  return choice;
}

function made(engine: typeof Cedar, key: string, chosen: Plan["policies"]): Slot {
  let name = `set-${slots.size}`;
  if (slots.size >= SLOTS) {
    const [oldest] = slots.entries();
    if (oldest !== undefined) {
      slots.delete(oldest[0]);
      name = oldest[1].name;
    }
  }
  const answer = engine.preparsePolicySet(name, { staticPolicies: Object.fromEntries(chosen.map(({ id, text }) => [id, text])) });
  if (answer.type === "failure") throw new Error(`the policy set cannot be read: ${messages(answer.errors)}`);
  const reads = readsOf(chosen.map(({ json }) => json), SCHEMA_JSON);
  const schema = engine.preparseSchema(name, reducedSchema(SCHEMA_JSON, reads));
  if (schema.type === "failure") throw new Error(`the schema of what the set reads is wrong: ${messages(schema.errors)}`);
  const same = alike(chosen.map(({ json }) => json));
  const repeats = reads !== undefined && Object.entries(NEVER_AGAIN).every(([attribute, way]) => !reads.has(attribute) || same.groups(way));
  const slot = { name, reads, alike: same, answers: repeats ? new Map<string, CedarAnswer>() : undefined };
  slots.set(key, slot);
  return slot;
}

/** A policy that was validated, in the engine's JSON form. */
export function policyJsonOf(text: string): Cedar.PolicyJson {
  return withCedar((engine) => policyJson(engine, text));
}

/** What policies that were validated read of a call of that action. */
export function readsOfAction(policies: PolicyTexts, action: string): Reads {
  return withCedar((engine) => readsOf(Object.values(policies).map((text) => policyJson(engine, text)).filter((json) => mayApply(json, action)), SCHEMA_JSON));
}

function policyJson(engine: typeof Cedar, text: string): Cedar.PolicyJson {
  const answer = engine.policyToJson(text);
  if (answer.type === "failure") throw new Error(`a policy cannot be read: ${messages(answer.errors)}`);
  return answer.json;
}

function denied(errors: readonly string[]): CedarAnswer {
  return { decision: "deny", reason: [], errors: errors.length > 0 ? errors : ["the policy engine failed without saying why"] };
}

function messages(errors: readonly Cedar.DetailedError[]): string {
  return errors.map((error) => error.message).join("; ");
}
