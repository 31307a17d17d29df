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
import { openWitness, type WitnessFolder } from "./witness-key.ts";

interface Options {
  readonly to?: readonly string[];
  readonly folder?: string;
  readonly every?: string;
  readonly newKey?: boolean;
}

const SINKS = `
Where to (\`--to\`, as often as you like): a file; http:// or https://, which is posted to; nats:<context>:<subject>,
which logs in with that context and publishes there. Keep what it is sent where the plane's owner cannot change it.`;

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
      await service.delivered();
      line(cli.io.stdout, JSON.stringify(signed));
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
    if (cli.io.signal.aborted) return service.delivered();
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
      const service = new WitnessService({
        nc: session.nc,
        ns: session.ns,
        witness: opened.witness,
        previous: await last(opened, session.ns),
        sinks: [fileSink(opened.checkpoints(session.ns)), ...(await Promise.all((given.to ?? []).map((place) => sinkOf(cli, self, place, closes))))],
        ...(everyMs !== undefined && { everyMs }),
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

async function last(opened: WitnessFolder, ns: string): Promise<SignedCheckpoint | undefined> {
  const path = opened.checkpoints(ns);
  const previous = readCheckpoints(await fileText(path)).at(-1);
  if (typeof previous === "string") throw new CliError(EXIT.failed, `the last line of \`${path}\`: ${previous}`, "mend it from one of the places that it was sent to");
  return previous;
}

async function sinkOf(cli: Cli, self: Command, place: string, closes: (() => Promise<unknown>)[]): Promise<Sink> {
  if (/^https?:\/\//.test(place)) return httpSink(place);
  if (!place.startsWith("nats:")) return fileSink(place);
  const [, context, subject, ...rest] = place.split(":");
  if (!context || !subject || rest.length > 0) throw new CliError(EXIT.usage, `\`${place}\` names no place`, "as `nats:<context>:<subject>`");
  const { url, creds, inboxPrefix } = await resolveLogin(cli.io, { ...globalsOf(self), as: context }, "read");
  const nc = await connectBus({ url, name: "signalbox-witness", creds, ...(inboxPrefix !== undefined && { inboxPrefix }) });
  closes.push(() => nc.close());
  return natsSink(nc, subject);
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
