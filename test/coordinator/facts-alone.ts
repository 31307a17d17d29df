/** Facts of one input, gathered without a plane. */
import assert from "node:assert/strict";
import type { Facts } from "../../schemas/facts.ts";
import type { RunState } from "../../machines/state.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import { type FactSources, Needs, gatherFacts } from "../../services/coordinator/facts.ts";
import { policySet } from "../registry/in-force.ts";
import { type Scene, arrives, asks, begins, types } from "./scene.ts";

export type Own = Awaited<ReturnType<Scene["lane"]>>;
export const stateOf = ({ loaded }: Own): RunState => (loaded.kind === "run" ? loaded.state : assert.fail(loaded.kind));
export const NONE = { kind: "none" };
export const OTHER_TOKEN = "eyJ.other.token";

export interface Wish {
  readonly sources?: Partial<FactSources>;
  readonly fetched?: (digest: Digest) => Uint8Array | null | undefined;
}
export function gather(of: Scene, lane: Own, arrival: Arrival, { sources, fetched = () => undefined }: Wish = {}): Facts {
  if (arrival.for !== "run") assert.fail(arrival.for);
  return gatherFacts({ ...of.sources, fetched, ...sources }, stateOf(lane), arrival.input, arrival);
}
/** The same, of facts of this kind. */
export function gathered<K extends Facts["kind"]>(kind: K, ...args: Parameters<typeof gather>): Extract<Facts, { readonly kind: K }> {
  const found = gather(...args);
  assert.equal(found.kind, kind);
  return found as Extract<Facts, { readonly kind: K }>;
}
export const needed = (what: () => unknown) => {
  try {
    what();
  } catch (error) {
    if (error instanceof Needs) return error.what;
    throw error;
  }
  return assert.fail("nothing is needed");
};
export async function running(of: Scene, agent = "clerk", machine?: string): Promise<Own> {
  const lane = await of.lane(`${agent}_1`, machine);
  of.turn(lane, [begins(agent, `${agent}_1`)]);
  return lane;
}
/** A run with the action `a2`, dispatched, of a tool. */
export async function dispatched(of: Scene, tool = "t.write", machine?: string): Promise<Own> {
  const lane = await running(of, "clerk", machine);
  assert.equal(types(of.turn(lane, [asks("clerk", "clerk_1", "t", tool)])).at(-1), "action.dispatched");
  return lane;
}
/** A run with the approval `q3` asked for, or one like it. */
export async function pending(of: Scene, machine?: string) {
  const lane = await running(of, "asker", machine);
  of.turn(lane, [asks("asker", "asker_1", "t", "t.write")]);
  const [id, approval] = [...stateOf(lane).approvals][0] ?? assert.fail("nobody is asked");
  const decides = (decision: string, more: object = {}, by = "ann") => arrives("decide", by, "asker_1", { id: `d-${decision}-${by}`, request: id, decision, digest: approval.context.digest, ...more }, 4);
  return { lane, decides };
}
export const inForce = ({ sources: { registry } }: Scene, agent: string, tool?: string) => ({
  contract: registry.contract(agent)?.digest,
  ...(tool !== undefined && { tool: registry.tool(tool)?.digest }),
  policy: registry.policy()?.digest,
});
export const changePolicy = (of: Scene) => of.apply(policySet(`@id("other") permit (principal, action, resource);\n`));
