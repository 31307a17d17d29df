/** `replay --machine` and `replay --policy`: what would have been otherwise, over any part of the log. */
import type { Command } from "commander";
import { machineVersion } from "../../machines/versions.ts";
import { digestSchema } from "../../schemas/ids.ts";
import { type PolicySet, RULING_POLICY_SET } from "../../schemas/policy.ts";
import { faultText } from "../../schemas/fault.ts";
import { compilePolicySet } from "../policy/compile.ts";
import { loadPath } from "../registry/load.ts";
import type { InForce } from "../registry/view.ts";
import { Library } from "../replay/documents.ts";
import { Bench } from "../replay/judge.ts";
import { rehearse, rehearseMachine, rehearsePolicy } from "../replay/rehearse.ts";
import { fileText, rehearsalText } from "./checked.ts";
import { type Cli, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { type Chosen, noRun, nothingWithheld, type Source, timeOf, withSource } from "./sources.ts";
import { visible } from "./visible.ts";

export interface Rehearsed {
  readonly machine?: string;
  readonly policy?: string;
  readonly since?: string;
}

export async function rehearsal(cli: Cli, self: Command, run: string | undefined, options: Chosen & Rehearsed): Promise<void> {
  const since = options.since === undefined ? "" : timeOf(options.since);
  const machine = options.machine === undefined ? undefined : machineVersion(options.machine);
  if (options.machine !== undefined && machine === undefined) throw new CliError(EXIT.usage, `this release has no machine version \`${visible(options.machine)}\``, "recorded versions stand in each event's `machine`");
  await withSource(cli, self, run, options, async (source) => {
    const { ns, file } = source;
    const messages = nothingWithheld(source.messages);
    const library = new Library(source.documents);
    let reports;
    if (machine !== undefined) reports = await rehearse(messages, (kind, name) => rehearseMachine(ns, kind, name, machine), undefined, since);
    else {
      const bench = new Bench(library);
      const set = await policyOf(options.policy ?? "", source, library);
      reports = await rehearse(messages, (kind, name) => (kind === "run" ? rehearsePolicy(ns, name, bench, set, since) : undefined), library, since);
    }
    if (reports.length === 0 && source.run !== undefined) throw noRun(source.run);
    const shown = machine === undefined ? reports.filter(({ compared }) => compared > 0) : reports;
    const what = machine === undefined ? "decision" : "event";
    show(cli, self, { reports: shown }, () =>
      [
        ...(file === undefined || file.counts.faults === 0 ? [] : [fileText(options.file ?? "", file, cli.paint)]),
        ...(shown.length === 0 ? ["nothing was decided there"] : shown.map((report) => rehearsalText(report, what, cli.paint))),
      ].join("\n"),
    );
    const wrong = shown.some(({ divergence, unknown }) => divergence !== undefined || unknown > 0);
    if (wrong || (file?.counts.faults ?? 0) > 0) cli.ends(EXIT.failed);
  });
}

/** A set from a folder, or a stored one by its digest. It has to compile: a set that does not would only deny. */
async function policyOf(text: string, source: Source, library: Library): Promise<InForce<PolicySet>> {
  const digest = digestSchema.safeParse(text.toLowerCase());
  if (digest.success) {
    await library.fetch([digest.data]);
    const value = library.policy(digest.data);
    if (typeof value === "string") throw new CliError(EXIT.usage, `the policy set \`${digest.data}\` cannot be had: ${value}`, source.file === undefined ? undefined : "give its folder: the file's own sets are read with their events");
    return compiled({ digest: digest.data, value });
  }
  if (/^sha(256)?:/i.test(text)) throw new CliError(EXIT.usage, `\`${visible(text)}\` is no digest of a policy set`, "a digest is `sha256:` and 64 hex digits: `signalbox policy history` shows them whole");
  const { documents, faults } = await loadPath(text);
  if (faults.length > 0) throw new CliError(EXIT.usage, faults.map(faultText).join("\n"));
  const [set, ...more] = documents.flatMap((document) => (document.kind === "policy" ? [document] : []));
  if (set === undefined || more.length > 0) throw new CliError(EXIT.usage, `\`${visible(text)}\` is not one policy set`, `give the folder with its \`.cedar\` files, as \`policies/${RULING_POLICY_SET}\``);
  return compiled({ digest: set.digest, value: set.value });
}

function compiled(set: InForce<PolicySet>): InForce<PolicySet> {
  const result = compilePolicySet(set.value);
  if (!result.ok) throw new CliError(EXIT.rejected, `the policy set cannot be used\n${result.faults.map(faultText).join("\n")}`);
  return set;
}
