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

const require = createRequire(import.meta.url);
const MODULE = "@cedar-policy/cedar-wasm/nodejs";
const SCHEMA_NAME = "signalbox";

/** The text of the schema that all policies are validated against. */
export const CEDAR_SCHEMA = readFileSync(new URL("./schema.cedarschema", import.meta.url), "utf8");

/** Policies by id. */
export type PolicyTexts = Readonly<Record<string, string>>;

let cedar = start();
/** Keys of the sets that the instance holds, by slot; in the order of their last use. */
let slots = new Map<string, string>();
const SLOTS = 32;

export const CEDAR_ENGINE = `cedar ${cedar.getCedarVersion()}`;

function start(): typeof Cedar {
  delete require.cache[require.resolve(MODULE)];
  const instance = require(MODULE) as typeof Cedar;
  const answer = instance.preparseSchema(SCHEMA_NAME, CEDAR_SCHEMA);
  if (answer.type === "failure") throw new Error(`the Cedar schema is wrong: ${messages(answer.errors)}`);
  return instance;
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
  try {
    return withCedar((engine) => {
      const answer = engine.statefulIsAuthorized({
        ...request,
        preparsedPolicySetId: slotOf(engine, key, policies),
        preparsedSchemaName: SCHEMA_NAME,
        validateRequest: true,
      });
      if (answer.type === "failure") return denied(answer.errors.map((error) => error.message));
      const { decision, diagnostics } = answer.response;
      const errors = diagnostics.errors.map((error) => error.error.message).sort();
      // Cedar skips a policy that errors; a forbid that is skipped would allow
      return errors.length > 0 ? denied(errors) : { decision, reason: [...diagnostics.reason].sort(), errors };
    });
  } catch (error) {
    return denied([error instanceof Error ? error.message : String(error)]);
  }
}

function slotOf(engine: typeof Cedar, key: string, policies: PolicyTexts): string {
  const known = slots.get(key);
  if (known !== undefined) {
    slots.delete(key);
    slots.set(key, known);
    return known;
  }
  let slot = `set-${slots.size}`;
  if (slots.size >= SLOTS) {
    const [oldest] = slots.entries();
    if (oldest !== undefined) {
      slots.delete(oldest[0]);
      slot = oldest[1];
    }
  }
  const answer = engine.preparsePolicySet(slot, { staticPolicies: { ...policies } });
  if (answer.type === "failure") throw new Error(`the policy set cannot be read: ${messages(answer.errors)}`);
  slots.set(key, slot);
  return slot;
}

function denied(errors: readonly string[]): CedarAnswer {
  return { decision: "deny", reason: [], errors: errors.length > 0 ? errors : ["the policy engine failed without saying why"] };
}

function messages(errors: readonly Cedar.DetailedError[]): string {
  return errors.map((error) => error.message).join("; ");
}
