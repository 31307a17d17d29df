/** `history`: every version of a document. `policy rollback`: the one before, with one command. */
import { type Digest } from "../../schemas/ids.ts";
import type { EventBody, EventData } from "../../schemas/event.ts";
import { RULING_POLICY_SET } from "../../schemas/policy.ts";
import { subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import { Documents } from "../bus/documents.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { changeOf } from "../registry/built-in.ts";
import { type DocumentKind, KIND_ORDER } from "../registry/kinds.ts";
import type { LoadedDocument } from "../registry/load.ts";
import { readStored, stored } from "../registry/parse.ts";
import { applyDocuments, type ApplyOptions, withPublisher } from "./apply.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { table } from "./io.ts";
import type { Session } from "./session.ts";
import { visible, visibleShort } from "./visible.ts";

interface Version {
  readonly version: number;
  readonly at: string;
  readonly digest: Digest;
  /** Whoever applied it. */
  readonly by: string;
  /** The change that it came with. */
  readonly run?: string;
  readonly approvers?: readonly string[];
  readonly reason?: string;
}

export function versionCommands(cli: Cli): void {
  const history = cli.program.command("history").argument("<kind>", "agent, tool, policy, person, issuer or budget").argument("<name>");
  history.description("every version of a document: when, by whom, with which change");
  examples(history, "history policy default", "history agent refund-assistant", "history budget team.support");
  history.action(async (kind: string, name: string, _options, self) => {
    const versions = await inSession(cli, self, "read", (session) => versionsOf(session, kindOf(kind), name));
    show(cli, self, { kind: kindOf(kind), name, versions }, () => versionsText(cli, versions));
  });

  const policy = cli.program.commands.find((command) => command.name() === "policy") ?? cli.program.command("policy");
  const rollback = policy.command("rollback").argument("[set]", "the policy set", RULING_POLICY_SET);
  rollback
    .description("put the version in force that was in force right before; that one was agreed to, so nobody is asked")
    .option("--dry-run", "show what would change, and change nothing")
    .option("--yes", "do not ask; needed where there is no terminal")
    .option("--reason <text>", "recorded with the change");
  examples(rollback, "policy rollback --dry-run", "policy rollback default --yes --reason \"refunds were denied\"");
  rollback.action((set: string, options: ApplyOptions, self) =>
    inSession(cli, self, "operate", (session) =>
      withPublisher(session, async (publisher) => {
        const before = (await appliedEvents(session, "policy", set)).at(-1)?.data as EventData<"policy.applied"> | undefined;
        if (before === undefined) throw new CliError(EXIT.usage, `no policy set \`${visible(set)}\` was ever applied`, "`signalbox status` counts what is in force");
        if (before.previous === undefined) throw new CliError(EXIT.usage, `there is no version of \`${visible(set)}\` before this one`);
        const document = await versionBefore(new Documents(session.nc, publisher, session.ns), before.previous);
        await applyDocuments(cli, self, session, publisher, [document], { ...options, reason: options.reason ?? `rollback to what was in force before version ${before.version}` });
      }),
    ),
  );
}

function kindOf(text: string): DocumentKind {
  const kind = text === "contract" ? "agent" : text;
  if (Object.hasOwn(KIND_ORDER, kind)) return kind as DocumentKind;
  throw new CliError(EXIT.usage, `\`${visible(text)}\` is no kind of document`, `kinds are ${Object.keys(KIND_ORDER).join(", ")}`);
}

async function appliedEvents({ nc, ns }: Session, kind: DocumentKind, name: string): Promise<EventBody[]> {
  const events: EventBody[] = [];
  for await (const message of new SegmentedReader(nc, ns).read({ subject: subjects.log(ns, kind, name) })) {
    const { body } = decodeEvent(message);
    if (body.type === `${kind}.applied`) events.push(body);
  }
  return events;
}

async function versionsOf(session: Session, kind: DocumentKind, name: string): Promise<Version[]> {
  const events = await appliedEvents(session, kind, name);
  if (events.length === 0) throw new CliError(EXIT.usage, `no ${kind} \`${visible(name)}\` was ever applied`);
  return Promise.all(
    events.map(async ({ at, cause, data }): Promise<Version> => {
      const { version, document } = data as EventData<"agent.applied">;
      const run = changeOf(cause)?.run;
      const change = run === undefined ? undefined : await behind(session, run);
      const reason = change?.reason ?? (data["input"] as { reason?: string } | undefined)?.reason;
      return { version, at, digest: document, by: change?.by ?? cause.actor, ...(run !== undefined && { run }), ...(change && change.approvers.length > 0 && { approvers: change.approvers }), ...(reason !== undefined && { reason }) };
    }),
  );
}

/** Who asked for a change, and who agreed to it. */
async function behind({ nc, ns }: Session, run: string): Promise<{ by: string; approvers: string[]; reason: string | undefined } | undefined> {
  let by: string | undefined;
  let reason: string | undefined;
  let approvers: string[] = [];
  for await (const message of new SegmentedReader(nc, ns).read({ subject: subjects.log(ns, "run", run) })) {
    const { type, cause, data } = decodeEvent(message).body;
    by ??= cause.actor;
    reason ??= (data["input"] as { reason?: string } | undefined)?.reason;
    if (type === "action.approved") approvers = (data as EventData<"action.approved">).approvers;
  }
  return by === undefined ? undefined : { by, approvers, reason };
}

function versionsText(cli: Cli, versions: readonly Version[]): string {
  const rows = versions
    .toReversed()
    .map(({ version, at, digest, by, approvers = [], run, reason }) => [version, at, digest.slice(0, 19), approvers.length === 0 ? by : `${by}, agreed to by ${approvers.join(", ")}`, run ?? "", visibleShort(reason ?? "", 60)]);
  return table(["VERSION", "IN FORCE FROM", "DIGEST", "BY", "CHANGE", "REASON"], rows, cli.paint);
}

/** Its digest is where it comes from: it is stored, and no file. */
async function versionBefore(documents: Documents, digest: Digest): Promise<LoadedDocument> {
  const { document, findings } = readStored(await documents.get(digest));
  if (document === undefined) throw new CliError(EXIT.failed, `the version before cannot be read: ${findings[0]?.message ?? ""}`);
  return { ...stored(document), file: digest, placeOf: () => ({ line: 1, column: 1 }) };
}
