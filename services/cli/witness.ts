/** `witness` and `checkpoint`: the journal is signed from time to time, by somebody who is not the coordinator. */
import type { Command } from "commander";
import { join } from "node:path";
import { partsOf, type SignedCheckpoint } from "../../schemas/checkpoint.ts";
import { timestamp } from "../../schemas/time.ts";
import { connectBus } from "../bus/connection.ts";
import { positionText } from "../../schemas/segments.ts";
import { endsOf, type StatusAnswer } from "../projection/views.ts";
import { readCheckpoints } from "../replay/checkpoint.ts";
import { fileSink, fileText, httpSink, natsSink, type Sink } from "../replay/sinks.ts";
import { WitnessService } from "../replay/witness-service.ts";
import { type Cli, examples, globalsOf, inSession } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { line } from "./io.ts";
import { dataFolder } from "./plane.ts";
import { resolveLogin, type Session } from "./session.ts";
import { visible } from "./visible.ts";
import { openPlaces } from "./witness-places.ts";
import { openWitness, type WitnessFolder } from "./witness-key.ts";

interface Options {
  readonly to?: readonly string[];
  readonly folder?: string;
  readonly every?: string;
  readonly newKey?: boolean;
}

const SINKS = `
Where to (\`--to\`, as often as you like): a file; http:// or https://, which is posted to; nats:<context>:<subject>,
which logs in with that context and publishes there, into a stream of that account: a checkpoint counts as sent when the
stream has acknowledged it. Keep what it is sent where the plane's owner cannot change it. What a place has not taken
when the command ends is sent when it runs again with the same place.

Exit codes of \`checkpoint\`: 0 signed and sent   2 usage   5 refused   6 a place did not take it   7 plane unreachable`;
/** In a row, by a command that runs once. */
const TRIES = 3;

export function witnessCommands(cli: Cli): void {
  const witness = options(cli.program.command("witness"))
    .description("watch the journal and sign checkpoints of it, until Ctrl-C")
    .option("--every <seconds>", "between checkpoints", "60");
  examples(witness, "witness --every 60 --to /mnt/auditor/checkpoints.jsonl", "witness --folder /safe/witness --to https://audit.example.com/signalbox").addHelpText("after", SINKS);
  witness.action((given: Options, self) => watch(cli, self, given));

  const checkpoint = options(cli.program.command("checkpoint")).description("sign one checkpoint now, and print it");
  examples(checkpoint, "checkpoint > kept.json", "verify --all --since kept.json").addHelpText("after", SINKS);
  checkpoint.action((given: Options, self) =>
    withWitness(cli, self, given, undefined, async (service) => {
      const signed = service.sign();
      if (!(await service.kept())) throw new CliError(EXIT.failed, "its own folder did not take the checkpoint: it counts for nothing", "`--folder` names another one");
      line(cli.io.stdout, JSON.stringify(signed));
      const missing = named(await service.delivered());
      if (missing !== undefined) throw new CliError(EXIT.failed, `${missing} did not take checkpoint ${signed.n}`, "run it again with the same place: what is owed there is sent first");
    }),
  );
}

function options(command: Command): Command {
  return command
    .option("--to <place>", "also send it there", (place: string, all: string[] = []) => [...all, place])
    .option("--folder <folder>", "of its key and its own checkpoints; `witness` in the data folder when left out")
    .option("--new-key", "sign with a new key from now on");
}

async function watch(cli: Cli, self: Command, given: Options): Promise<void> {
  const seconds = Number(given.every);
  if (!Number.isFinite(seconds) || seconds <= 0) throw new CliError(EXIT.usage, `\`${given.every}\` is no number of seconds`, "as `--every 60`");
  await withWitness(cli, self, given, seconds * 1000, async (service, session) => {
    service.sign();
    await Promise.race([stopped(cli.io.signal), session.nc.closed()]);
    const missing = named(await service.finish());
    if (missing !== undefined) line(cli.io.stderr, `${missing} did not take everything: the rest is sent when it runs again`);
    if (cli.io.signal.aborted) return;
    throw new CliError(EXIT.unreachable, "the connection to the plane was lost", "run it again: it goes on behind its last checkpoint");
  });
}

async function withWitness(cli: Cli, self: Command, given: Options, everyMs: number | undefined, work: (service: WitnessService, session: Session) => Promise<unknown>): Promise<void> {
  const folder = given.folder ?? join(dataFolder(cli.io.env), "witness");
  const opened = await openWitness(folder, Date.now(), given.newKey === true);
  if (opened.validUntil < timestamp(Date.now())) throw new CliError(EXIT.denied, `the witness's key was valid until ${opened.validUntil}`, "`--new-key` makes the next one");
  const closes: (() => Promise<unknown>)[] = [];
  try {
    await inSession(cli, self, "read", async (session) => {
      const own = await signedBefore(opened, session.ns);
      const sinks = await Promise.all([...new Set(given.to)].map((place) => sinkOf(cli, self, place, closes)));
      const places = await openPlaces(opened.places(session.ns));
      const service = new WitnessService({
        nc: session.nc,
        ns: session.ns,
        witness: opened.witness,
        previous: own.at(-1),
        memory: fileSink(opened.checkpoints(session.ns)),
        sinks,
        owed: new Map(sinks.map((sink) => [sink, places.owed(sink.name, own)])),
        onTaken: (sink, { n }) => (sinks.includes(sink) ? places.took(sink.name, n) : undefined),
        ...(everyMs === undefined ? { tries: TRIES } : { everyMs }),
        ends: async () => endsOf((await session.query<StatusAnswer>("status")).journal),
        now: () => timestamp(Date.now()),
        onSigned: (signed) => everyMs !== undefined && said(cli, self, signed),
        onAlarm: (message) => line(cli.io.stderr, `alarm: ${visible(message)}`),
      });
      try {
        await service.start();
        await work(service, session);
      } catch (error) {
        throw error instanceof CliError ? error : new CliError(EXIT.failed, (error as Error).message.replace(/\n.*/s, ""));
      } finally {
        await service.stop();
      }
    });
  } finally {
    for (const close of closes) await close().catch(() => undefined);
  }
}

async function signedBefore(opened: WitnessFolder, ns: string): Promise<SignedCheckpoint[]> {
  const path = opened.checkpoints(ns);
  const read = readCheckpoints(await fileText(path));
  const last = read.at(-1);
  if (typeof last === "string") throw new CliError(EXIT.failed, `the last line of \`${path}\`: ${last}`, "mend it from one of the places that it was sent to");
  return read.filter((one) => typeof one === "object");
}

function named(sinks: readonly Sink[]): string | undefined {
  return sinks.length === 0 ? undefined : sinks.map(({ name }) => `\`${visible(name)}\``).join(", ");
}

async function sinkOf(cli: Cli, self: Command, place: string, closes: (() => Promise<unknown>)[]): Promise<Sink> {
  if (/^https?:\/\//.test(place)) return httpSink(place);
  if (!place.startsWith("nats:")) return fileSink(place);
  const [, context, subject, ...rest] = place.split(":");
  if (!context || !subject || rest.length > 0) throw new CliError(EXIT.usage, `\`${place}\` names no place`, "as `nats:<context>:<subject>`");
  // NATS_URL says where the plane is, and this is somebody else's server
  const { url, creds, inboxPrefix } = await resolveLogin({ ...cli.io, env: { ...cli.io.env, NATS_URL: undefined } }, { ...globalsOf(self), as: context }, "read");
  const sink = natsSink(place, subject, () => connectBus({ url, name: "signalbox-witness", creds, ...(inboxPrefix !== undefined && { inboxPrefix }) }));
  closes.push(() => sink.close());
  return sink;
}

function said(cli: Cli, self: Command, signed: SignedCheckpoint): void {
  const { n, at, root } = signed;
  const aggregates = partsOf(signed).reduce((sum, part) => sum + part.aggregates, 0);
  const ends = partsOf(signed).map(({ last }) => positionText(last)).join(", ");
  const text = `${cli.paint.green("signed")}  checkpoint ${n}  ${at}  journal sequence ${ends}, ${aggregates} aggregate(s)  ${cli.paint.dim(`sha256:${root}`)}`;
  line(cli.io.stdout, globalsOf(self).json === true ? JSON.stringify(signed) : text);
}

function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
