/** `replay` and `verify`: the journal recomputed, and its chains followed, with an auditor's rights or out of an export. */
import type { Command } from "commander";
import type { Digest } from "../../schemas/ids.ts";
import { positionOf, positionText, segmentOf } from "../../schemas/segments.ts";
import { decodeEvent } from "../bus/commit.ts";
import { Library } from "../replay/documents.ts";
import { type Checked, checkMessages } from "../replay/journal.ts";
import { Bench } from "../replay/judge.ts";
import { statesHash } from "../replay/state-hash.ts";
import { type Moment, stateAt } from "../replay/state-at.ts";
import { attestedText, fileJson, fileText, isWrong, replayText, stateText, verifyText } from "./checked.ts";
import { type Cli, examples, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { follow } from "./follow.ts";
import { type Kept, keptText, readKept, trustedKeys } from "./kept.ts";
import { rehearsal, type Rehearsed } from "./rehearsal.ts";
import { type Chosen, noRun, nothingWithheld, type Source, timeOf, usage, withSource } from "./sources.ts";

const EXIT_CODES = `
Exit codes:
  0 nothing is wrong   2 usage   6 a difference, a fault, a divergence, or something that cannot be told   7 plane unreachable`;

type VerifyOptions = Chosen & { readonly since?: string; readonly keys?: string };
type ReplayOptions = Chosen & Rehearsed & { readonly judge?: boolean; readonly allowErased?: boolean; readonly at?: string; readonly follow?: boolean };

export function auditCommands(cli: Cli): void {
  const replay = chosen(cli.program.command("replay"))
    .description("recompute recorded events, byte for byte, without side effects")
    .option("--judge", "also judge again with the recorded contract, tool and policy set, and compare decision and determining policies")
    .option("--allow-erased", "what cannot be recomputed is not wrong: with --judge because its data subject was erased, with --file because it is withheld")
    .option("--at <seq|time>", "show the run as it stood after this event, or at this time")
    .option("--follow", "keep checking what is recorded, until Ctrl-C")
    .option("--machine <version>", "rehearse a machine version: what would it have recorded otherwise?")
    .option("--policy <set>", "rehearse a policy set, a folder or a digest: which decisions would have been others?")
    .option("--since <time>", "rehearse only with what was recorded from this time on");
  examples(
    replay,
    "replay refund-assistant_demo",
    "replay --all --judge",
    "replay --all --judge --allow-erased",
    "replay refund-assistant_demo --at 7",
    "replay refund-assistant_demo --at 2026-01-31T09:30:00Z --json",
    "replay --follow --judge",
    "replay --all --policy infra/demo/policies/default --since 2026-01-01",
    "replay --all --machine 1",
    "replay --file evidence.jsonl --judge",
  ).addHelpText("after", EXIT_CODES);
  replay.action(async (run: string | undefined, options: ReplayOptions, self) => {
    const modes = (["at", "follow", "machine", "policy"] as const).filter((name) => options[name] !== undefined);
    if (modes.length > 1) throw usage(self, `\`--${modes[0]}\` and \`--${modes[1]}\` are two questions`);
    const [mode] = modes;
    for (const name of ["judge", "allowErased"] as const) {
      if (options[name] === true && mode !== undefined && mode !== "follow") throw usage(self, `\`${name === "judge" ? "--judge" : "--allow-erased"}\` says nothing of \`--${mode}\``);
    }
    if (options.allowErased === true && options.judge !== true && options.file === undefined) throw usage(self, "`--allow-erased` goes with `--judge` or `--file`");
    if (options.since !== undefined && options.machine === undefined && options.policy === undefined) throw usage(self, "`--since` goes with `--machine` or `--policy`");
    if (options.at !== undefined) return showAt(cli, self, run, options, options.at);
    if (options.follow === true) return follow(cli, self, run, options);
    if (options.machine !== undefined || options.policy !== undefined) return rehearsal(cli, self, run, options);
    await check(cli, self, run, options, "replay");
  });

  const verify = chosen(cli.program.command("verify"))
    .description("follow the hash chains over the stored bytes")
    .option("--since <checkpoints>", "also hold the journal against checkpoints that you kept: nothing before them may have changed")
    .option("--keys <file>", "the witness's keys, as they were given to you; without it checkpoints are held against those of the data folder, and an export's own against those that it names itself");
  examples(verify, "verify refund-assistant_demo", "verify --all --json", "verify --all --since kept.json --keys witness-keys.json", "verify --file evidence.jsonl", "verify --file evidence.jsonl --keys witness-keys.json").addHelpText("after", EXIT_CODES);
  verify.action((run: string | undefined, options: VerifyOptions, self) => {
    if (options.keys !== undefined && options.since === undefined && options.file === undefined) throw usage(self, "`--keys` goes with `--since` or `--file`");
    if (options.since !== undefined && options.all !== true && options.file === undefined) throw usage(self, "a checkpoint is about everything: `--since` goes with `--all` or `--file`");
    return check(cli, self, run, options, "verify");
  });
}

function chosen(command: Command): Command {
  return command
    .argument("[run]")
    .option("--run <run>", "the same as the argument")
    .option("--all", "every run and every document")
    .option("--file <export>", "out of a file that `signalbox export` wrote, without a plane");
}

/** Holes in the journal's own count: what was stored there is gone. */
interface Hole {
  readonly from: number;
  readonly to: number;
}

async function check(cli: Cli, self: Command, run: string | undefined, options: ReplayOptions & VerifyOptions, what: "replay" | "verify"): Promise<void> {
  await withSource(cli, self, run, options, async (source) => {
    const bench = options.judge === true ? new Bench(new Library(source.documents)) : undefined;
    const holes: Hole[] = [];
    const whole = source.run === undefined && source.file === undefined;
    const trusted = what === "verify" ? await trustedKeys(cli.io, options.since, options.keys) : undefined;
    const kept: Kept | undefined = what === "verify" && options.since !== undefined ? await readKept(options.since, trusted ?? [], source.ns) : undefined;
    const messages = kept === undefined ? source.messages : kept.messages(source.messages);
    // a run alone does not say what was erased
    if (bench !== undefined) for await (const message of source.erasures()) bench.note(message);
    const checks = await checkMessages(source.ns, noted(whole ? counted(messages, holes) : messages, bench), bench);
    const { file } = source;
    const attested = what === "verify" && file !== undefined ? await file.attested(trusted) : [];
    const against = kept?.report(file, attested);
    if (checks.length === 0 && source.run !== undefined && (source.file?.counts.faults ?? 0) === 0) throw noRun(source.run);
    const folded = what === "replay" && checks.length > 1 ? statesOf(checks) : undefined;
    const reports = checks.map((one) => (what === "verify" ? one.verify : { ...one.replay, ...(one.state_hash && { state_hash: one.state_hash }), ...(one.judge && { judge: one.judge }) }));
    show(cli, self, { ...(file && { file: { ...fileJson(file), ...(what === "verify" && { attested }) } }), ...(holes.length > 0 && { holes }), ...(against && { since: against }), ...(folded && { state_hash: folded }), reports }, () =>
      [
        ...(file === undefined ? [] : [fileText(options.file ?? "", file, cli.paint)]),
        ...(file === undefined || what === "replay" ? [] : [attestedText(attested, cli.paint)]),
        ...holes.map(({ from, to }) => `${cli.paint.red("broken")}  the journal has no messages ${positionText(from)} to ${positionText(to)}`),
        ...(against === undefined ? [] : [keptText(against, cli.paint)]),
        ...checks.map((one) => (what === "verify" ? verifyText(one, cli.paint) : replayText(one, cli.paint))),
        ...(folded === undefined ? [] : [cli.paint.dim(`state of ${checks.length} together ${folded}`)]),
      ].join("\n"),
    );
    if (holes.length > 0 || (against?.faults.length ?? 0) > 0 || (file?.counts.faults ?? 0) > 0 || attested.some(({ fault }) => fault !== undefined) || checks.some((one) => fails(one, what, options.allowErased === true))) cli.ends(EXIT.failed);
  });
}

/** One line to compare two replays of the same by; none where not all of it is identical. */
function statesOf(checks: readonly Checked[]): Digest | undefined {
  const states = new Map(checks.flatMap(({ replay, state_hash }) => (state_hash === undefined ? [] : [[`${replay.kind}/${replay.name}`, state_hash] as const])));
  return states.size === checks.length ? statesHash(states) : undefined;
}

/** A chain that is broken concerns `verify`; `replay` finds that same event, or proves every byte of it. */
function fails(one: Checked, what: "replay" | "verify", allowErased: boolean): boolean {
  if (what === "verify") return one.verify.fault !== undefined;
  return isWrong({ ...one, verify: { ...one.verify, fault: undefined } }) || (one.judge?.unknown.length ?? 0) > 0 || (!allowErased && ((one.judge?.erased.length ?? 0) > 0 || (one.replay.withheld ?? 0) > 0));
}

async function* noted(messages: Source["messages"], bench: Bench | undefined): Source["messages"] {
  for await (const message of messages) {
    bench?.note(message);
    yield message;
  }
}

/** Whole runs leave no trace in the chains of others: only the journal's own numbers show that they were taken away. */
async function* counted(messages: Source["messages"], holes: Hole[]): Source["messages"] {
  let next = 1;
  for await (const message of messages) {
    // a segment begins with its first message
    if (segmentOf(message.seq) > segmentOf(next)) next = positionOf(segmentOf(message.seq), 1);
    if (message.seq > next) holes.push({ from: next, to: message.seq - 1 });
    next = message.seq + 1;
    yield message;
  }
}

async function showAt(cli: Cli, self: Command, named: string | undefined, options: ReplayOptions, at: string): Promise<void> {
  const moment = momentOf(at);
  await withSource(cli, self, named, options, async ({ ns, run, messages }) => {
    if (run === undefined) throw usage(self, "`--at` shows one run");
    const state = await stateAt(ns, run, decoded(messages), moment);
    if (state === undefined) throw new CliError(EXIT.usage, `nothing of \`${run}\` had happened by \`${at}\``, `\`signalbox show ${run}\` shows all of it`);
    const beyond = "seq" in moment && moment.seq > state.seq && state.last_recorded;
    show(cli, self, state, (value) => `${stateText(value, cli.paint)}${beyond ? `\n${cli.paint.yellow("note")}  there is no event ${moment.seq} of it yet: this is after its last, event ${state.seq}` : ""}`);
    if (state.difference !== undefined) cli.ends(EXIT.failed);
  });
}

async function* decoded(messages: Source["messages"]) {
  for await (const message of nothingWithheld(messages)) yield decodeEvent(message);
}

function momentOf(text: string): Moment {
  if (/^[1-9][0-9]*$/.test(text)) return { seq: Number(text) };
  return { time: timeOf(text) };
}
