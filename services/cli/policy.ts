/** `policy`: what a set of policies means before it is in force, why it decided what it did, and how it came to be. */
import { faultText } from "../../schemas/fault.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import { checkPolicySet, type CheckedPolicySet } from "../policy/compile.ts";
import { CEDAR_SCHEMA } from "../policy/engine.ts";
import { people } from "../policy/judge.ts";
import { loadPath } from "../registry/load.ts";
import { type Cli, examples, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { explainCommand } from "./explain.ts";
import type { Paint } from "./io.ts";
import { historyCommand } from "./policy-history.ts";
import { visible } from "./visible.ts";

export function policyCommands(cli: Cli): void {
  const policy = cli.program.command("policy").description("policy sets: test them, explain what they decided, see how they changed");
  const test = policy.command("test").argument("[folder]", "a folder with one or more sets", ".");
  test.description("validate policies strictly and run the fixtures beside them, without a plane");
  examples(test, "policy test infra/demo/policies/default", "policy test --json");
  test.action(async (folder: string, _options, self) => {
    const { sets, faults } = await checked(folder);
    show(cli, self, { sets: sets.map(setJson), faults: [...faults, ...sets.flatMap(({ result }) => result.faults)] }, () =>
      [...faults.map(faultText), ...sets.map((set) => setText(set, cli.paint))].join("\n"),
    );
    if (faults.length > 0 || sets.some(({ result }) => result.faults.length > 0)) cli.ends(EXIT.rejected);
  });

  const schema = policy.command("schema").description("the Cedar schema that policies are written against");
  examples(schema, "policy schema > policies/default/schema.cedarschema");
  schema.action((_options, self) => show(cli, self, { schema: CEDAR_SCHEMA }, () => CEDAR_SCHEMA.trimEnd()));

  explainCommand(cli, policy);
  historyCommand(cli, policy);
}

interface CheckedSet {
  readonly document: PolicySet;
  readonly folder: string;
  readonly result: CheckedPolicySet;
}

async function checked(path: string) {
  const { documents, faults } = await loadPath(path);
  const sets = documents.flatMap((document): CheckedSet[] =>
    document.kind === "policy" ? [{ document: document.value, folder: document.file, result: checkPolicySet(document.value, document.file) }] : [],
  );
  if (sets.length === 0 && faults.length === 0) {
    throw new CliError(EXIT.usage, `there is no policy set in \`${visible(path)}\``, "give the folder with its `.cedar` files, as `policies/default`");
  }
  return { sets, faults };
}

function setJson({ document, folder, result }: CheckedSet) {
  const fixtures = result.results.map(({ fixture, judgement, faults }) => {
    const { decision, ask, policies, reasons } = judgement;
    return { name: fixture.fixture.name, file: fixture.file, ok: faults.length === 0, decision, ...(ask && { ask }), policies: policies.map(({ id }) => id), reasons: reasons.map(({ code }) => code) };
  });
  return { name: document.name, folder, policies: result.set?.policies.size ?? 0, ok: result.faults.length === 0, fixtures };
}

function setText({ document, folder, result }: CheckedSet, paint: Paint): string {
  const { set, faults, results } = result;
  const failed = results.filter((one) => one.faults.length > 0).length;
  const standing = faults.length === 0 ? paint.green("passed") : paint.red("failed");
  const counts = results.length === 0 ? "no fixtures were run" : `${results.length - failed} of ${results.length} fixture(s) as expected`;
  const lines = results.map(({ fixture, judgement, faults: wrong }) => {
    const mark = wrong.length === 0 ? paint.green("ok  ") : paint.red("not ");
    const { decision, ask, policies, reasons } = judgement;
    const by = policies.length > 0 ? policies.map(({ id }) => id) : reasons.map(({ code }) => code);
    return `  ${mark}  ${visible(fixture.fixture.name)}  ${paint.dim(`${decision}${ask === undefined ? "" : ` ${people(ask)}`}: ${by.join(", ")}`)}`;
  });
  return [`${standing}  ${visible(document.name)} in ${visible(folder)}  ${set?.policies.size ?? 0} policies, ${counts}`, ...lines, ...faults.map(faultText)].join("\n");
}
