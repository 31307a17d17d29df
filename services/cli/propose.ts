/** `propose`: what an agent may say, from the command line. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Answer, answerSchema } from "../../schemas/answer.ts";
import { INPUT_HEADERS } from "../../schemas/dispatch.ts";
import { type Actor, type RunId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { Publisher } from "../bus/publisher.ts";
import { type Cli, examples, globalsOf, inSession } from "./cli.ts";
import { jsonOf } from "./control.ts";
import { CliError, EXIT, type Exit } from "./exit.ts";
import { coloured } from "./format.ts";
import { differenceText } from "./approval-text.ts";
import { json, line, readAll } from "./io.ts";
import { freshId, notStored, refusedBy, rejectionOf } from "./send.ts";
import { principalOf } from "./principal.ts";
import type { Session } from "./session.ts";
import { runOf } from "./tail.ts";
import { visible, visibleJson } from "./visible.ts";

interface Options {
  readonly run?: string;
  readonly agent?: string;
  readonly start?: boolean;
  readonly goal?: string;
  readonly tool?: string;
  readonly input?: string;
  readonly why?: string;
  readonly note?: string;
  readonly finish?: boolean;
  readonly output?: string;
  readonly id?: string;
  readonly principal?: string;
  readonly token?: string;
  readonly subject?: string;
  readonly file?: string;
  readonly wait?: string | true;
}

/** Without `--wait`: until there is a verdict. */
const VERDICT_MS = 10_000;
const DEFAULT_WAIT_S = 60;
const MAX_STDIN = 8 * 1024 * 1024;

export function proposeCommand(cli: Cli): void {
  const command = cli.program.command("propose").description("propose as an agent: start a run, call a tool, note, finish");
  command
    .option("--run <run>", "the run; its id alone is enough, the agent's name is put before it")
    .option("--agent <name>", "the context's agent; another is an error")
    .option("--start", "start the run first")
    .option("--goal <text>", "what the run is for, with --start")
    .option("--tool <name>", "call this tool")
    .option("--input <json>", "the tool's input", "{}")
    .option("--why <text>", "the agent's reason; recorded, never believed")
    .option("--note <text>", "record a note")
    .option("--finish", "finish the run")
    .option("--output <json>", "the run's output, with --finish")
    .option("--id <id>", "id of the proposal; repeating one is asking how it stands")
    .option("--subject <name>", "on whose behalf: a token of the demo issuer, made with the data folder's key")
    .option("--token <jwt>", "on whose behalf: a token of an issuer in force; `-` reads SIGNALBOX_PRINCIPAL_TOKEN")
    .option("--principal <name>", "on whose behalf, claimed and not verified: such a run only reads")
    .option("-f, --file <file>", "a proposal as JSON, `-` for standard input; a member `run` names the run")
    .option("--wait [seconds]", `wait for the outcome, ${DEFAULT_WAIT_S} s when no number is given`);
  examples(
    command,
    'propose --start --goal "refund order 4711" --run demo-1 --subject kim',
    'propose --start --goal "refund order 4711" --run demo-2 --token "$(signalbox token --agent demo-agent --run demo-agent_demo-2 --subject kim)"',
    "propose --run demo-1 --tool crm.read_customer --input '{\"customer\":\"c-17\"}' --wait",
    'echo \'{"kind":"note","id":"n1","text":"done"}\' | signalbox propose --run demo-1 --wait=5 -f -',
  );
  command.action(async (options: Options, self) => {
    const waitMs = options.wait === undefined ? undefined : 1000 * (options.wait === true ? DEFAULT_WAIT_S : seconds(options.wait));
    const file = options.file === undefined ? undefined : await fromFile(cli, options.file);
    await inSession(cli, self, "propose", async (session) => {
      if (options.agent !== undefined && options.agent !== session.name) {
        throw new CliError(EXIT.denied, `\`${session.login.context}\` is \`${session.name}\` and cannot speak for \`${options.agent}\``, "choose that agent's context with `--as`");
      }
      const { run, bodies } = proposals(session, options, file);
      const principal = await principalOf(cli, session, run, options);
      for (const body of bodies) {
        const last = body === bodies.at(-1);
        const answer = await propose(cli, session, run, body, principal, last ? waitMs : undefined);
        const exit = exitOf(answer);
        if (last || exit !== EXIT.done) {
          report(cli, globalsOf(self).json === true, answer, waitMs !== undefined);
          cli.ends(waitMs !== undefined && exit === EXIT.done && answer.status === "approved" ? EXIT.failed : exit);
          return;
        }
      }
    });
  });
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0 || value > 86_400) throw new CliError(EXIT.usage, `\`${text}\` is no number of seconds`, "as in `--wait=30`");
  return value;
}

async function fromFile(cli: Cli, file: string): Promise<Record<string, unknown>> {
  if (file === "-" && cli.io.stdin.isTTY === true) line(cli.io.stderr, "reading a proposal from standard input, until Ctrl-D");
  const text = await (file === "-" ? readAll(cli.io, MAX_STDIN) : readFile(file, "utf8")).catch((error: Error) => {
    throw new CliError(EXIT.usage, `\`${file}\` cannot be read: ${error.message}`);
  });
  const value = jsonOf(text, file === "-" ? "standard input" : `\`${file}\``);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new CliError(EXIT.usage, "a proposal is a JSON object");
  return value as Record<string, unknown>;
}

type Body = { readonly id: string; readonly kind: string } & Readonly<Record<string, unknown>>;

/** What is sent, in order. A file's content goes as it stands: the plane says what is wrong with it. */
function proposals(session: Session, options: Options, file: Record<string, unknown> | undefined): { run: RunId; bodies: Body[] } {
  const { run: named, ...rest } = file ?? {};
  const given = options.run ?? (typeof named === "string" ? named : undefined);
  const starts = options.start === true || rest["kind"] === "start";
  if (given === undefined && !starts) throw new CliError(EXIT.usage, "no run is named", "give `--run <run>`, or `--start --goal <text>` for a new one");
  const id = given ?? randomBytes(6).toString("hex");
  const run = runOf(id.includes("_") ? id : `${session.name}_${id}`);
  const bodies: Body[] = [];
  const body = (kind: string, members: Record<string, unknown>): Body => ({ kind, id: (kind === "start" ? undefined : options.id) ?? freshId(), ...members });
  if (options.start === true) {
    if (options.goal === undefined) throw new CliError(EXIT.usage, "`--start` needs `--goal <text>`");
    bodies.push(body("start", { agent: { name: session.name }, goal: options.goal }));
  }
  if (file !== undefined) bodies.push({ id: options.id ?? freshId(), ...rest } as Body);
  if (options.tool !== undefined) {
    bodies.push(body("tool", { tool: options.tool, input: jsonOf(options.input ?? "{}", "--input"), ...(options.why !== undefined && { why: options.why }) }));
  }
  if (options.note !== undefined) bodies.push(body("note", { text: options.note }));
  if (options.finish === true) bodies.push(body("finish", { ...(options.output !== undefined && { output: jsonOf(options.output, "--output") }) }));
  if (bodies.length === 0) throw new CliError(EXIT.usage, "nothing is proposed", "give `--start`, `--tool`, `--note`, `--finish` or `-f <file>`");
  return { run, bodies };
}

/** Sends one proposal and listens until it is settled: for good with a wait, else until there is a verdict. */
async function propose(cli: Cli, session: Session, run: RunId, body: Body, principal: string | undefined, waitMs: number | undefined): Promise<Answer> {
  const { nc, ns } = session;
  const agent = session.name as Actor;
  const settled = Promise.withResolvers<Answer | undefined>();
  let latest: Answer | undefined;
  let told = false;
  const answers = nc.subscribe(subjects.out(ns, agent, run), {
    callback: (error, message) => {
      if (error !== null) return settled.reject(new CliError(EXIT.denied, `\`${session.login.context}\` (${session.role}) cannot propose`, "choose an agent's context with `--as`"));
      const answer = answerSchema.safeParse(safeJson(message.data)).data;
      if (answer?.id !== body.id || answer.seq < (latest?.seq ?? 0)) return;
      latest = answer;
      if (isSettled(answer, waitMs !== undefined)) return settled.resolve(answer);
      if (answer.request !== undefined && !told) {
        told = true;
        line(cli.io.stderr, waitsFor(answer));
      }
    },
  });
  const refused = nc.subscribe(subjects.rejected(ns, agent), {
    callback: (error, message) => {
      const rejection = error === null ? rejectionOf(message.data) : undefined;
      if (rejection?.run === run && rejection.id === body.id) settled.reject(refusedBy(rejection.reasons));
    },
  });
  settled.promise.catch(() => undefined);
  const timer = setTimeout(() => settled.resolve(undefined), waitMs ?? VERDICT_MS);
  const stop = () => settled.resolve(undefined);
  cli.io.signal.addEventListener("abort", stop, { once: true });
  const publisher = new Publisher(nc);
  try {
    await nc.flush();
    const headers = { [INPUT_HEADERS.contentType]: "application/json", ...(principal !== undefined && { [INPUT_HEADERS.principal]: principal }) };
    const sending = publisher.publish(subjects.input(ns, "propose", agent, run), Buffer.from(JSON.stringify(body)), headers);
    await Promise.race([sending, settled.promise]).catch((error: unknown) => {
      throw notStored(session, error);
    });
    const answer = (await settled.promise) ?? latest;
    if (answer !== undefined) return answer;
    throw new CliError(EXIT.failed, "the plane stored the proposal and has not answered it yet", `ask again with the same id: --id ${body.id}`);
  } finally {
    clearTimeout(timer);
    cli.io.signal.removeEventListener("abort", stop);
    publisher.close();
    answers.unsubscribe();
    refused.unsubscribe();
  }
}

function isSettled(answer: Answer, waits: boolean): boolean {
  if (answer.final || answer.status === "in_doubt") return true;
  return !waits && (answer.status !== "pending" || answer.request !== undefined);
}

function safeJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined;
  }
}

const EXITS: Readonly<Record<Answer["status"], Exit>> = {
  started: EXIT.done,
  recorded: EXIT.done,
  completed: EXIT.done,
  resumed: EXIT.done,
  approved: EXIT.done,
  succeeded: EXIT.done,
  refused: EXIT.rejected,
  rejected: EXIT.rejected,
  denied: EXIT.denied,
  pending: EXIT.waiting,
  paused: EXIT.waiting,
  cancelled: EXIT.failed,
  failed: EXIT.failed,
  in_doubt: EXIT.failed,
};

/** A run that its agent gives up has failed as it was told to: that is done. */
function exitOf(answer: Answer): Exit {
  return answer.kind === "fail" && answer.status === "failed" ? EXIT.done : EXITS[answer.status];
}

function waitsFor({ run, action, expires_at }: Answer): string {
  return `waiting for a person until ${expires_at ?? "further notice"}: signalbox approve ${run} ${action ?? ""}`;
}

function report(cli: Cli, asJson: boolean, answer: Answer, waited: boolean): void {
  if (asJson) return json(cli.io.stdout, answer);
  const { paint, io } = cli;
  const status = coloured(answer.status, paint)(answer.status.replace("_", " "));
  line(io.stdout, [status, answer.run, answer.action, answer.tool].filter((part) => part !== undefined).join("  "));
  for (const { code, message, path, help } of answer.reasons ?? []) {
    line(io.stdout, `  ${code}: ${visible(message)}${path ? ` (at \`${visible(path)}\`)` : ""}`);
    if (help !== undefined) line(io.stdout, `    ${/:\d+$/.test(help) ? "at " : "help: "}${visible(help)}`);
  }
  if (answer.edited !== undefined) {
    line(io.stdout, `  ${visible(answer.edited.by)} changed the input of ${answer.edited.from}:\n${differenceText(answer.edited.diff, "    ")}`);
  }
  if (answer.request !== undefined) line(io.stdout, `  waiting for a person until ${answer.expires_at ?? "further notice"}`);
  if (answer.output !== undefined && answer.output !== null) line(io.stdout, visibleJson(answer.output));
  if (answer.error !== undefined) line(io.stdout, visibleJson(answer.error));
  if (waited && answer.status === "approved") line(io.stdout, "  no outcome in time; the wait cancels nothing");
  const next = nextOf(answer);
  if (next !== undefined) line(io.stdout, paint.dim(`next: ${next}`));
}

function nextOf({ status, run, action, kind }: Answer): string | undefined {
  if (kind === "start" && status === "started") return `signalbox propose --run ${run} --tool <name> --input '{}' --wait`;
  if (status === "pending" && action !== undefined) return `signalbox approve ${run} ${action}`;
  if (status === "in_doubt" && action !== undefined) return `signalbox resolve ${run} ${action} --outcome <succeeded|failed>`;
  return action === undefined ? undefined : `signalbox why ${run} ${action}`;
}
