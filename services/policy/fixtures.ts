/** Fixtures of a policy set: requests that it must answer as they say, or it is not put in force (POL-1). */
import type { Fault } from "../../schemas/fault.ts";
import { type Fixture, fixturesSchema } from "../../schemas/fixture.ts";
import type { AmountTotals, Judgement, JudgementRequest } from "../../schemas/judgement.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import { toolName } from "../../schemas/ids.ts";
import { findings } from "../registry/explain.ts";
import { placed } from "../registry/parse.ts";
import { readYaml, type YamlDocument } from "../registry/yaml.ts";
import type { CompiledPolicySet } from "./compiled.ts";
import { people } from "./judge.ts";
import { riskOf, type RiskTable } from "./risk.ts";
import { verdict } from "./verdict.ts";

/** A fixture and where it stands. */
export interface PlacedFixture {
  readonly fixture: Fixture;
  readonly file: string;
  /** Its number in the file, from 0. */
  readonly index: number;
  readonly source: YamlDocument;
}

/** Reads all fixtures of a set. Adds every fault, with its place. */
export function readFixtures({ fixtures = {} }: PolicySet, folder: string, faults: Fault[]): PlacedFixture[] {
  return Object.keys(fixtures).sort().flatMap((name) => {
    const file = `${folder}/${name}`;
    const yaml = readYaml(fixtures[name] ?? "", file);
    faults.push(...yaml.faults);
    return yaml.documents.flatMap((source) => {
      const parsed = fixturesSchema.safeParse(source.value);
      if (!parsed.success) faults.push(...findings(fixturesSchema, source.value, parsed.error).map((finding) => placed(finding, source, file)));
      return (parsed.data ?? []).map((fixture, index) => ({ fixture, file, index, source }));
    });
  });
}

/** What a set answers to a fixture, and everything in which that is not what was expected. */
export interface FixtureResult {
  readonly fixture: PlacedFixture;
  readonly judgement: Judgement;
  readonly faults: readonly Fault[];
}

export function runFixture(set: CompiledPolicySet, fixture: PlacedFixture, risk: RiskTable | undefined): FixtureResult {
  const request = requestOf(fixture.fixture, risk);
  const judgement = verdict(set, { request, entry: { name: toolName(request.tool.name) }, unclear: [] });
  return { fixture, judgement, faults: faultsOf(fixture, judgement) };
}

function faultsOf({ fixture, file, index, source }: PlacedFixture, judgement: Judgement): Fault[] {
  const ids = judgement.policies.map(({ id }) => id);
  const codes = judgement.reasons.map(({ code }) => code);
  const why = ids.length > 0 ? `determined by ${list(ids)}` : `because of ${list(codes)}`;
  const fault = (key: string, message: string): Fault => {
    const finding = { path: [String(index), key], code: "fixture.failed", message: `\`${fixture.name}\`: ${message}`, help: `the answer is ${answerText(judgement)}, ${why}` };
    return placed(finding, source, file);
  };
  const faults: Fault[] = [];
  if (judgement.decision !== fixture.decision) faults.push(fault("decision", `expected \`${fixture.decision}\`, and the answer is \`${judgement.decision}\``));
  if (fixture.policies !== undefined && [...fixture.policies].sort().join(" ") !== [...ids].sort().join(" ")) {
    faults.push(fault("policies", `expected ${list(fixture.policies)} to determine it, and ${list(ids)} did`));
  }
  const missing = (fixture.reasons ?? []).filter((reason) => !codes.includes(reason) && !ids.includes(reason));
  if (missing.length > 0) faults.push(fault("reasons", `expected ${list(missing)} among its reasons, which are ${list([...ids, ...codes])}`));
  // which role is asked says nothing where nobody is
  if (judgement.decision !== "ask" || judgement.ask === undefined) return faults;
  const { role, count } = judgement.ask;
  if (fixture.role !== undefined && fixture.role !== role) faults.push(fault("role", `expected \`${fixture.role}\` to be asked, and \`${role}\` is`));
  if (fixture.count !== undefined && fixture.count !== count) faults.push(fault("count", `expected ${fixture.count} to be asked, and the number is ${count}`));
  return faults;
}

const list = (names: readonly string[]) => (names.length === 0 ? "nothing" : names.map((name) => `\`${name}\``).join(", "));

function answerText({ decision, ask }: Judgement): string {
  return ask === undefined ? `\`${decision}\`` : `\`${decision}\` ${people(ask)}`;
}

/** What a fixture leaves out. */
const AGENT: JudgementRequest["agent"] = { name: "agent", owner: "owner", team: "team" };
const TOOL: JudgementRequest["tool"] = { name: "tool", tags: [], effect: "write", idempotent: false, trusted: false, clearance: [] };
const PRINCIPAL: NonNullable<JudgementRequest["principal"]> = { subject: "somebody", issuer: "https://issuer.example", verified: true, roles: [] };
const RUN: JudgementRequest["run"] = {
  id: "agent_1",
  steps: 0,
  cost_micro_usd: 0,
  input_tokens: 0,
  output_tokens: 0,
  elapsed_seconds: 0,
  depth: 0,
  succeeded: [],
  failed: [],
  successes: {},
  failures: {},
};
const REQUEST: JudgementRequest = {
  namespace: "default",
  agent: AGENT,
  tool: TOOL,
  principal: PRINCIPAL,
  tokens: { input: 0, output: 0 },
  cost_micro_usd: 0,
  regions: [],
  tainted: false,
  labels: [],
  sources: 0,
  at: "2026-01-05T12:00:00.000Z",
  run: RUN,
};

/** A whole request: what a fixture leaves out is unremarkable, and risk is the plane's to compute. */
function requestOf({ request: given }: Fixture, risk: RiskTable | undefined): JudgementRequest {
  const { agent, tool, principal, amount, amounts, tokens, run: before = {}, ...rest } = given;
  const run = over(RUN, before);
  if (before.succeeded === undefined) run.succeeded = Object.keys(run.successes);
  if (before.failed === undefined) run.failed = Object.keys(run.failures);
  if (before.successes === undefined) run.successes = once(run.succeeded);
  if (before.failures === undefined) run.failures = once(run.failed);
  const inRun = amounts?.in_run ?? amount;
  const request = over(REQUEST, {
    ...rest,
    agent: over(AGENT, agent ?? {}),
    tool: over(TOOL, tool ?? {}),
    principal: principal === null ? null : over(PRINCIPAL, principal ?? {}),
    amount: amount === undefined ? undefined : String(amount),
    amounts: inRun === undefined ? undefined : (mapped({ ...amounts, in_run: inRun }) as AmountTotals),
    tokens: typeof tokens === "number" ? { input: tokens, output: 0 } : over(REQUEST.tokens, tokens ?? {}),
    run,
  });
  return { ...request, risk: given.risk ?? riskOf(request, risk) };
}

/** Members that are given stand in the place of others; one that is undefined is not given. */
function over<T extends object>(base: T, given: { readonly [K in keyof T]?: T[K] | undefined }): T {
  return { ...base, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

const mapped = (totals: Readonly<Record<string, number | string | undefined>>) =>
  Object.fromEntries(Object.entries(totals).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])));

const once = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 1]));
