/** `policy history`: the versions of a policy set, who brought each about, and who agreed (POL-6). */
import type { Command } from "commander";
import type { Namespace, RunId } from "../../schemas/ids.ts";
import { RULING_POLICY_SET } from "../../schemas/policy.ts";
import { subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { StreamReader } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { changeOf } from "../registry/built-in.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { type Paint, table } from "./io.ts";
import { visible } from "./visible.ts";

export interface PolicyVersion {
  readonly version: number;
  readonly at: string;
  readonly document: string;
  /** The version before it; what is the same as one that was there before was rolled back. */
  readonly previous?: string;
  readonly rolled_back_to?: number;
  /** Who applied it, and for what reason. */
  readonly by: string;
  readonly reason?: string;
  /** The run in which it was proposed, and who agreed to it there. */
  readonly change?: string;
  readonly approved_by: readonly string[];
}

export function historyCommand(cli: Cli, policy: Command): void {
  const history = policy.command("history").argument("[set]", "name of the set", RULING_POLICY_SET);
  history.description("the versions of a policy set: when, by whom, why, and who agreed");
  examples(history, "policy history", "policy history default --json");
  history.action(async (set: string, _options, self) => {
    const versions = await inSession(cli, self, "read", ({ nc, ns }) => versionsOf(new SegmentedReader(nc, ns), ns, set));
    if (versions.length === 0) throw new CliError(EXIT.usage, `no policy set \`${visible(set)}\` was ever applied`, "`signalbox apply <folder>` applies one");
    show(cli, self, { set, versions }, () => historyText(versions, cli.paint));
  });
}

/** @throws ReadError */
export async function versionsOf(journal: StreamReader, ns: Namespace, set: string): Promise<PolicyVersion[]> {
  const versions: PolicyVersion[] = [];
  const known = new Map<string, number>();
  for await (const message of journal.read({ subject: subjects.log(ns, "policy", set) })) {
    const { body } = decodeEvent(message);
    if (body.type !== "policy.applied") continue;
    const { document, version, previous, input } = body.data as { document: string; version: number; previous?: string; input?: { reason?: string } };
    const change = changeOf(body.cause)?.run;
    const proposed = change === undefined ? undefined : await changeStory(journal, ns, change);
    const before = known.get(document);
    versions.push({
      version,
      at: body.at,
      document,
      ...(previous !== undefined && { previous }),
      ...(before !== undefined && { rolled_back_to: before }),
      by: proposed?.by ?? body.cause.actor,
      ...(input?.reason !== undefined && { reason: input.reason }),
      ...(change !== undefined && { change }),
      approved_by: proposed?.approvedBy ?? [],
    });
    known.set(document, before ?? version);
  }
  return versions;
}

/** Who began a change, and who agreed to it. */
async function changeStory(journal: StreamReader, ns: Namespace, run: RunId): Promise<{ by: string; approvedBy: string[] }> {
  let by = "";
  const approvedBy: string[] = [];
  for await (const message of journal.read({ subject: subjects.log(ns, "run", run) })) {
    const { body } = decodeEvent(message);
    if (body.type === "run.started") by = body.cause.actor;
    if (body.type === "approval.granted") approvedBy.push(body.cause.actor);
  }
  return { by, approvedBy };
}

function historyText(versions: readonly PolicyVersion[], paint: Paint): string {
  const rows = versions.toReversed().map(({ version, at, document, rolled_back_to, by, approved_by, change, reason }) => [
    `${version}${rolled_back_to === undefined ? "" : ` (as ${rolled_back_to})`}`,
    at,
    document.slice("sha256:".length, "sha256:".length + 12),
    visible(by),
    approved_by.map(visible).join(", "),
    change ?? "",
    visible(reason ?? ""),
  ]);
  return table(["VERSION", "APPLIED", "SHA256", "BY", "AGREED", "CHANGE", "REASON"], rows, paint);
}
