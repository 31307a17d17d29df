/** `apply`: contracts, tools, policies, people, issuers and budgets from files into force; a difference first. */
import { type Fault, faultText } from "../../schemas/fault.ts";
import { reason } from "../../schemas/reason.ts";
import { Publisher } from "../bus/publisher.ts";
import { checkPolicySet } from "../policy/compile.ts";
import { type LoadedDocument, loadPaths } from "../registry/load.ts";
import { type AppliedDocument, type ChangeState, sendChange, type Sent } from "./change.ts";
import { type Cli, examples, globalsOf, inSession, show } from "./cli.ts";
import { CliError, EXIT, type Exit } from "./exit.ts";
import { line, readLine, table } from "./io.ts";
import { changed, makePlan, type Plan, type PlannedDocument } from "./plan.ts";
import { planJson, planText } from "./plan-text.ts";
import type { Session } from "./session.ts";
import { visible } from "./visible.ts";

export interface ApplyOptions {
  readonly dryRun?: boolean;
  readonly offline?: boolean;
  readonly yes?: boolean;
  readonly wait?: boolean;
  readonly reason?: string;
}

/** Documents of one change: the wire's limit. */
const MAX_DOCUMENTS = 512;

export function applyCommand(cli: Cli): void {
  const command = cli.program.command("apply").argument("<files...>");
  command
    .description("show what documents would change, and bring them into force: all of them, or none")
    .option("--dry-run", "show it, and change nothing")
    .option("--offline", "check the files alone, without a plane")
    .option("--yes", "do not ask; needed where there is no terminal")
    .option("--wait", "wait for the people who have to agree")
    .option("--reason <text>", "recorded with the change");
  examples(command, "apply --dry-run infra/demo", "apply agents/refunds.yaml tools/ policies/default", "apply policies/default --yes --reason \"finance asked for it\"");
  command.action(async (files: string[], options: ApplyOptions, self) => {
    const documents = await loaded(files);
    if (options.offline === true) {
      return show(cli, self, { documents: documents.map((document) => row(document, "checked")) }, () => `${documents.length} document(s) without a fault; nothing was sent`);
    }
    await inSession(cli, self, "operate", (session) => withPublisher(session, (publisher) => applyDocuments(cli, self, session, publisher, documents, options)));
  });
}

/** @throws CliError with every fault of every file */
async function loaded(files: readonly string[]): Promise<readonly LoadedDocument[]> {
  const { documents, faults } = await loadPaths(files);
  // also beside faults of other documents: all of them at once
  const policies = documents.flatMap((document) => (document.kind === "policy" ? checkPolicySet(document.value, document.file).faults : []));
  const all = [...faults, ...policies];
  if (all.length === 0) return documents;
  throw faulty(all);
}

function faulty(faults: readonly Fault[]): CliError {
  const unread = faults.every(({ code }) => code.startsWith("file."));
  return new CliError(unread ? EXIT.usage : EXIT.rejected, `${faults.length} fault(s), and nothing was sent\n${faults.map(faultText).join("\n")}`);
}

export async function withPublisher<T>(session: Session, work: (publisher: Publisher) => Promise<T>): Promise<T> {
  const publisher = new Publisher(session.nc);
  try {
    return await work(publisher);
  } finally {
    publisher.close();
  }
}

type Self = Parameters<typeof globalsOf>[0];

/** Shows the difference, asks, sends, and says what became of it. */
export async function applyDocuments(cli: Cli, self: Self, session: Session, publisher: Publisher, documents: readonly LoadedDocument[], options: ApplyOptions): Promise<void> {
  const asJson = globalsOf(self).json === true;
  const plan = await makePlan(session, publisher, documents);
  // what is asked about is on the screen, wherever the answer for programs goes
  const say = (text: string) => line(asJson ? cli.io.stderr : cli.io.stdout, text);
  const report = (sent?: Sent) => {
    if (asJson) show(cli, self, answer(plan, sent), () => "");
  };
  say(planText(plan, cli.paint));
  if (plan.faults.length > 0) {
    report();
    throw new CliError(EXIT.rejected, `the plane refuses this: ${plan.faults.length} fault(s), and nothing was sent`);
  }
  const news = changed(plan);
  if (news.length === 0) {
    say("nothing to change");
    return report();
  }
  if (news.length > MAX_DOCUMENTS) throw new CliError(EXIT.usage, `a change has at most ${MAX_DOCUMENTS} documents, and these are ${news.length}`, "apply what is referred to first: people, then tools, then contracts");
  if (options.dryRun === true) {
    say("nothing was sent");
    return report();
  }
  await confirmed(cli, options);
  const base = plan.documents.flatMap(({ status, version }) => (status === "unchanged" ? [] : [version]));
  const sent = await sendChange(session, publisher, news, { reason: options.reason, wait: options.wait === true, base });
  report(sent);
  finish(cli, say, sent);
}

async function confirmed(cli: Cli, { yes }: ApplyOptions): Promise<void> {
  if (yes === true) return;
  if (cli.io.stdin.isTTY !== true) throw new CliError(EXIT.usage, "nobody is here to ask, and nothing was sent", "read the above, and add `--yes`");
  cli.io.stderr.write("type yes to apply: ");
  if ((await readLine(cli.io)) !== "yes") throw new CliError(EXIT.usage, "nothing was sent", "only `yes` applies");
}

const ENDS: Readonly<Record<ChangeState["state"], Exit>> = {
  applied: EXIT.done,
  waiting: EXIT.waiting,
  under_way: EXIT.failed,
  refused: EXIT.rejected,
  denied: EXIT.denied,
  failed: EXIT.failed,
  in_doubt: EXIT.failed,
};

function finish(cli: Cli, say: (text: string) => void, { run, state }: Sent): void {
  const exit = ENDS[state.state];
  if (exit !== EXIT.done) cli.ends(exit);
  switch (state.state) {
    case "applied":
      return say(appliedText(cli, state.documents));
    case "waiting": {
      const { action, role, count, grants, expires_at } = state;
      const first = `${cli.paint.yellow("waiting")} for ${count - grants} of ${count} ${visible(role)}, until ${visible(expires_at)}`;
      return say(`${first}\nthey run: signalbox approve ${run} ${action}\nfollow it: signalbox show ${run}`);
    }
    case "under_way":
      return say(`under way: signalbox show ${run}`);
    default: {
      const what = { refused: "refused", denied: "denied", failed: "failed", in_doubt: "nobody knows what became of it" }[state.state];
      const reasons = state.reasons.length > 0 ? state.reasons : [reason("change.unknown", "no reason was recorded")];
      const told = reasons.flatMap(({ code, message, help }) => [`${visible(code)}: ${visible(message)}`, ...(help === undefined ? [] : [`help: ${visible(help)}`])]);
      line(cli.io.stderr, [`${cli.paint.red(what)}: ${run}`, ...told].join("\n"));
    }
  }
}

function appliedText(cli: Cli, documents: readonly AppliedDocument[]): string {
  const rows = documents.map(({ kind, name, version, document, outcome }) => [outcome === "applied" ? "applied" : "in force", kind, name, version, document.slice(0, 19)]);
  return table(["", "KIND", "NAME", "VERSION", "DIGEST"], rows, cli.paint);
}

/** For programs: what each document was, and what became of it. */
function answer(plan: Plan, sent: Sent | undefined) {
  const versions = new Map(sent?.state.state === "applied" ? sent.state.documents.map((one) => [`${one.kind} ${one.name}`, one.version]) : []);
  const outcome = ({ status }: PlannedDocument) => (status === "unchanged" ? "unchanged" : sent === undefined ? "planned" : sent.state.state);
  return {
    documents: plan.documents.map((planned) => {
      const { document, version, status, changes, widens } = planned;
      const now = status === "unchanged" ? version : versions.get(`${document.kind} ${document.name}`);
      return { ...row(document, outcome(planned)), status, ...(now !== undefined && { version: now }), ...(version > 0 && { before: version }), changes: status === "added" ? [] : changes, widens };
    }),
    ...planJson(plan),
    ...(sent && { run: sent.run, change: sent.state }),
  };
}

function row({ kind, name, file, digest }: LoadedDocument, outcome: string) {
  return { kind, name, file, digest, outcome };
}
