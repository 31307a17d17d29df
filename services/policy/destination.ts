/**
 * Where data may go (GUARD-10, POL-4). This is the one place that checks it, whatever the effect: a read sends its
 * input to the tool as well.
 *
 * - a label that the run's data carries, or that the contract says it carries, must be in the tool's `clearance`
 * - `region:x` on the run's data demands that the tool is in `x` or below it (`eu` covers `eu-west-1`), each of them
 * - the regions that the contract names are those where data may be: the tool must be in one of them
 */
import type { JudgementRequest } from "../../schemas/judgement.ts";
import { type Reason, reason } from "../../schemas/reason.ts";

const REGION = "region:";

/** Why the call's destination may not have the data; empty when it may. */
export function destinationFaults({ tool, labels, regions }: Pick<JudgementRequest, "tool" | "labels" | "regions">): Reason[] {
  const faults: Reason[] = [];
  const uncleared = labels.filter((label) => !label.startsWith(REGION) && !tool.clearance.includes(label));
  if (uncleared.length > 0) {
    const named = uncleared.map((label) => `\`${label}\``).join(", ");
    const help = "a tool's `clearance` names what its input may carry; a person may cleanse the run";
    faults.push(reason("data.not_cleared", `\`${tool.name}\` is not cleared for data labelled ${named}`, { help }));
  }
  const demanded = labels.filter((label) => label.startsWith(REGION)).map((label) => label.slice(REGION.length));
  const outside = demanded.filter((region) => !within(tool.region, region));
  const nowhere = regions.length > 0 && !regions.some((region) => within(tool.region, region));
  if (outside.length > 0 || nowhere) {
    const where = [...new Set(outside.length > 0 ? outside : regions)].map((region) => `\`${region}\``);
    const is = tool.region === undefined ? "says no region" : `is in \`${tool.region}\``;
    faults.push(reason("data.residency", `the data stays in ${where.join(outside.length > 0 ? " and " : " or ")}, and \`${tool.name}\` ${is}`));
  }
  return faults;
}

/** What a contract's `data.labels` say: the places where data may be, and the kinds of data that every run handles. */
export function dataOf(labels: readonly string[]): { readonly regions: string[]; readonly kinds: string[] } {
  return {
    regions: labels.filter((label) => label.startsWith(REGION)).map((label) => label.slice(REGION.length)),
    kinds: labels.filter((label) => !label.startsWith(REGION)),
  };
}

function within(region: string | undefined, place: string): boolean {
  const where = region?.toLowerCase();
  return where === place || where?.startsWith(`${place}-`) === true;
}
