/** From the text of a policy set to one that can be asked, or to every fault with file, line and column (POL-1). */
import type { DetailedError, PolicyJson } from "@cedar-policy/cedar-wasm/nodejs";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { type Fault } from "../../schemas/fault.ts";
import { type Digest } from "../../schemas/ids.ts";
import { type Ask, type Effect, EFFECTS, roleSchema } from "../../schemas/judgement.ts";
import { type PolicySet } from "../../schemas/policy.ts";
import type { CompiledPolicy, CompiledPolicySet } from "./compiled.ts";
import { CEDAR_SCHEMA, CedarCrash, type PolicyTexts, readsOfAction, withCedar } from "./engine.ts";
import { type FixtureResult, readFixtures, runFixture } from "./fixtures.ts";
import type { Reads } from "./reads.ts";
import { readSetSchema } from "./set-schema.ts";
import { type PolicyPiece, splitPolicies } from "./split.ts";

export type Compiled =
  | { readonly ok: true; readonly set: CompiledPolicySet }
  | { readonly ok: false; readonly faults: readonly Fault[] };

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** A word that is not here is probably a slip, and a slip in `@ask` would change what a policy does. */
const ANNOTATIONS = ["id", "ask", "approvals", "expires_seconds", "description", "owner"];
const MAX_APPROVALS = 16;
const MAX_EXPIRES_SECONDS = 31_622_400;

interface Source {
  readonly piece: PolicyPiece;
  readonly file: string;
  readonly name: string;
  readonly text: string;
}

/**
 * Reads and strictly validates a set, against the plane's schema and its own, and runs its fixtures. A policy that can
 * never apply is a fault too: whoever wrote it meant something.
 * @param folder where the set was loaded from, for the places of faults; its name by default
 */
export function compilePolicySet(document: PolicySet, folder: string = document.name): Compiled {
  const { set, faults } = checkPolicySet(document, folder);
  return set === undefined || faults.length > 0 ? { ok: false, faults } : { ok: true, set };
}

export interface CheckedPolicySet {
  /** Undefined when the policies themselves have faults; fixtures that fail leave it as it is. */
  readonly set: CompiledPolicySet | undefined;
  readonly faults: readonly Fault[];
  /** What was answered to the fixtures; none are asked while there is any fault in what is written. */
  readonly results: readonly FixtureResult[];
}

/** The same, with what became of each fixture. */
export function checkPolicySet(document: PolicySet, folder: string = document.name): CheckedPolicySet {
  const faults: Fault[] = [];
  const set = compilePolicies(document, folder, faults);
  const fixtures = readFixtures(document, folder, faults);
  if (set === undefined || faults.length > 0) return { set, faults, results: [] };
  const results = fixtures.map((fixture) => runFixture(set, fixture, document.settings?.risk));
  return { set, faults: results.flatMap((result) => result.faults), results };
}

/** The set without its fixtures, which were run when it was put in force; undefined when it has faults, which are added. */
export function compilePolicies(document: PolicySet, folder: string = document.name, found: Fault[] = []): CompiledPolicySet | undefined {
  const faults: Fault[] = [];
  const policies = new Map<string, CompiledPolicy>();
  const texts: Record<string, string> = {};
  const sources = new Map<string, Source>();
  for (const name of Object.keys(document.files).sort()) {
    const text = document.files[name] ?? "";
    const file = `${folder}/${name}`;
    for (const piece of splitPolicies(text)) {
      const source: Source = { piece, file, name, text };
      const policy = readPolicy(source, faults);
      if (policy === undefined) continue;
      // a policy without an id of its own is validated all the same, so that all faults come at once
      const known = policies.get(policy.id);
      const key = policy.id === "" || known !== undefined ? `${file} ${piece.offset}` : policy.id;
      if (known !== undefined) {
        const message = `the id \`${policy.id}\` is also used at ${known.file}:${known.line}`;
        faults.push(fault(source, piece.offset, "policy.id_twice", message, "ids are unique in a set"));
      } else if (policy.id !== "") policies.set(policy.id, policy);
      sources.set(key, source);
      texts[key] = piece.text;
    }
  }
  faults.push(...validationFaults(texts, sources, CEDAR_SCHEMA));
  const own = readSetSchema(document, folder, faults);
  if (own !== undefined) {
    const known = new Set(faults.map(placeText));
    const more = validationFaults(texts, sources, own).filter((one) => !known.has(placeText(one)));
    faults.push(...more.map((one) => ({ ...one, help: one.help ?? "the set's own schema says so" })));
  }
  found.push(...faults);
  if (faults.length > 0) return undefined;
  const agreed = Object.fromEntries(Object.entries(texts).filter(([id]) => policies.get(id)?.ask === undefined));
  const reads = Object.fromEntries(EFFECTS.map((effect) => [effect, readsOfAction(texts, effect)])) as Record<Effect, Reads>;
  return { name: document.name, digest: canonicalDigest(document), policies, texts, textsOnceAgreed: agreed, reads };
}

const placeText = ({ file, line, column, code }: Fault) => `${file}:${line}:${column} ${code}`;

/** The policy without its id when that is missing or bad; undefined when it cannot be read. Adds its faults. */
function readPolicy(source: Source, faults: Fault[]): CompiledPolicy | undefined {
  const { piece } = source;
  if (piece.tooMuch !== undefined) {
    faults.push(fault(source, piece.tooMuch.offset, "policy.too_much", piece.tooMuch.message, "split the policy"));
    return undefined;
  }
  try {
    const answer = withCedar((engine) => engine.policyToJson(piece.text));
    if (answer.type === "failure") {
      faults.push(...answer.errors.map((error) => engineFault(source, "policy.syntax", error)));
      return undefined;
    }
    return annotated(source, answer.json, faults);
  } catch (error) {
    if (!(error instanceof CedarCrash)) throw error;
    faults.push(fault(source, piece.offset, "policy.too_much", error.message, "split the policy"));
    return undefined;
  }
}

function annotated(source: Source, policy: PolicyJson, faults: Fault[]): CompiledPolicy {
  const notes: Record<string, string | null | undefined> = policy.annotations ?? {};
  const at = source.piece.offset;
  const complain = (code: string, message: string, help?: string) => faults.push(fault(source, at, code, message, help));
  const id = notes["id"] ?? "";
  if (id === "") complain("policy.id_missing", "the policy has no id", 'write `@id("…")` before it');
  else if (!ID.test(id)) complain("policy.id_invalid", `an id is [A-Za-z0-9][A-Za-z0-9._-]*, and \`${id}\` is not`);
  for (const name of Object.keys(notes)) {
    if (ANNOTATIONS.includes(name)) continue;
    complain("policy.annotation", `unknown annotation \`@${name}\``, `known: ${ANNOTATIONS.map((known) => `\`@${known}\``).join(", ")}`);
  }
  const { line } = placeIn(source.text, at);
  const base = { id: ID.test(id) ? id : "", effect: policy.effect, file: source.file, line };
  const role = notes["ask"];
  if (role === undefined) {
    for (const name of ["approvals", "expires_seconds"]) {
      if (notes[name] !== undefined) complain("policy.annotation", `\`@${name}\` means nothing without \`@ask\``);
    }
    return base;
  }
  if (policy.effect !== "forbid") complain("policy.ask", "`@ask` stands on a permit", "only a forbid can be lifted by people");
  if (!roleSchema.safeParse(role).success) complain("policy.ask", "`@ask` names no role", 'write `@ask("approver")`');
  const count = whole(notes["approvals"], 1, MAX_APPROVALS);
  const expires = whole(notes["expires_seconds"], undefined, MAX_EXPIRES_SECONDS);
  if (count === "bad") complain("policy.ask", `\`@approvals\` is a whole number from 1 to ${MAX_APPROVALS}`);
  if (expires === "bad") complain("policy.ask", `\`@expires_seconds\` is a whole number from 1 to ${MAX_EXPIRES_SECONDS}`);
  const asked = { role: role ?? "", count: typeof count === "number" ? count : 1 };
  return { ...base, ask: typeof expires === "number" ? { ...asked, expires_seconds: expires } : asked };
}

function whole(text: string | null | undefined, absent: number | undefined, most: number): number | undefined | "bad" {
  if (text === undefined) return absent;
  const value = /^[1-9][0-9]{0,8}$/.test(text ?? "") ? Number(text) : Infinity;
  return value <= most ? value : "bad";
}

function validationFaults(texts: PolicyTexts, sources: ReadonlyMap<string, Source>, schema: string): Fault[] {
  if (Object.keys(texts).length === 0) return [];
  const first = [...sources.values()][0];
  try {
    const answer = withCedar((engine) =>
      engine.validate({ schema, policies: { staticPolicies: { ...texts } }, validationSettings: { mode: "strict" } }),
    );
    const found: { policyId?: string; error: DetailedError; warning: boolean }[] =
      answer.type === "failure"
        ? answer.errors.map((error) => ({ error, warning: false }))
        : [
            ...answer.validationErrors.map((error) => ({ ...error, warning: false })),
            ...answer.validationWarnings.map((error) => ({ ...error, warning: true })),
            ...answer.otherWarnings.map((error) => ({ error, warning: true })),
          ];
    const wrong = new Set(found.filter((item) => !item.warning).map((item) => item.policyId));
    const seen = new Set<string>();
    return found.flatMap(({ policyId, error, warning }) => {
      // a policy that is wrong is also reported as impossible, and one mistake once for every action that it meets
      if (warning && wrong.has(policyId)) return [];
      const key = `${policyId ?? ""} ${warning ? "" : (error.sourceLocations?.[0]?.start ?? "")}`;
      if (seen.has(key)) return [];
      seen.add(key);
      const source = sources.get(policyId ?? "") ?? first;
      return source === undefined ? [] : [engineFault(source, warning ? "policy.impossible" : "policy.invalid", error)];
    });
  } catch (error) {
    if (!(error instanceof CedarCrash) || first === undefined) throw error;
    return [fault(first, 0, "policy.too_much", error.message)];
  }
}

/** The engine counts bytes of UTF-8 from the start of the policy, and names the policy in its messages. */
function engineFault(source: Source, code: string, error: DetailedError): Fault {
  const bytes = Buffer.from(source.piece.text);
  const label = error.sourceLocations?.[0];
  const start = Math.min(label?.start ?? 0, bytes.length);
  const offset = source.piece.offset + bytes.subarray(0, start).toString().length;
  const message = error.message.replace(/^for policy `[^`]*`, /, "").replace(/^failed to parse .*? from string: /, "").replace(/ for Action::"[^"]*"/, "");
  const help = error.help ?? label?.label ?? undefined;
  return fault(source, offset, code, message, help);
}

function fault(source: Source, offset: number, code: string, message: string, help?: string): Fault {
  const path = `/files/${source.name}`;
  return { file: source.file, ...placeIn(source.text, offset), path, code, message, ...(help === undefined ? {} : { help }) };
}

function placeIn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - (before.lastIndexOf("\n") + 1) + 1 };
}
