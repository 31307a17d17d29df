/** `stop`, `lift`, `stops`, `revoke`, `in-flight`: the emergency brake, and what it found (GUARD-9, ID-2). */
import type { EventBody, EventData } from "../../schemas/event.ts";
import { guardControlSchema, type Scope, scopeSchema } from "../../schemas/inputs.ts";
import { subjects } from "../../schemas/subjects.ts";
import { knownNamespaces } from "../identity/keys.ts";
import { reinstate, revoke, type RevokeResult, whoOf } from "../identity/revoke.ts";
import type { StopRow } from "../projection/index-stops.ts";
import type { FlightAnswer, FlightView } from "../projection/views.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { inEveryNamespace } from "./everywhere.ts";
import { CliError, EXIT } from "./exit.ts";
import { type Paint, table } from "./io.ts";
import { dataFolder } from "./plane.ts";
import { freshId, refusedBy, send } from "./send.ts";
import type { Session } from "./session.ts";
import { visible } from "./visible.ts";

const SCOPES = "all, agent:<name>, version:<agent>@<version>, tool:<name>, team:<name>, principal:<issuer>|<subject>, person:<name>";
const GUARD = { kind: "guard", name: "stops" } as const;

export function stopCommands(cli: Cli): void {
  stopCommand(cli);
  liftCommand(cli);
  revokeCommand(cli);
  const stops = cli.program.command("stops").description("stops and revocations, newest first");
  examples(stops, "stops", "stops --json");
  stops.action(async (_options, self) => {
    const answer = await inSession(cli, self, "read", (session) => session.query<{ stops: StopRow[] }>("stops"));
    show(cli, self, answer, (value) => stopsText(value.stops, cli.paint));
  });
  const flight = cli.program.command("in-flight").argument("[scope]", SCOPES).description("actions that are approved and not reported yet: claimed, and waiting for a gateway");
  examples(flight, "in-flight", "in-flight tool:stripe.create_refund --json");
  flight.action(async (scope: string | undefined, _options, self) => {
    const wanted = scope === undefined ? undefined : scopeOf(scope);
    const answer = await inSession(cli, self, "read", (session) => inFlight(session, wanted));
    show(cli, self, answer, (value) => flightText(value, cli.paint));
  });
}

interface Said {
  readonly reason: string;
}

function stopCommand(cli: Cli): void {
  const command = cli.program.command("stop").argument("<scope>", `${SCOPES}; or everything`);
  command
    .description("emergency stop: from its acknowledgement on nothing in the scope starts, queued actions included; a second person lifts it")
    .requiredOption("--reason <text>", "recorded, and shown to whoever is refused");
  examples(command, 'stop agent:refund-assistant --reason "refunds twice"', 'stop tool:stripe.create_refund --reason "wrong currency"', 'stop all --reason "incident 7"').addHelpText(
    "after",
    "\n`all` is everything in the namespace of the operator's context; `everything` is all of every namespace, and needs the plane's data folder.\n\nExit codes:\n  0 stopped   2 usage   3 refused   7 plane unreachable",
  );
  command.action(async (scope: string, { reason }: Said, self) => {
    const stopIn = async (session: Session, wanted: Scope) => {
      const event = await controlGuard(session, { verb: "stop", scope: wanted, reason });
      return { ...stopped(event), ...(await found(session, wanted)) };
    };
    if (scope === "everything") {
      const answers = await inSession(cli, self, "operate", (session) => inEveryNamespace(cli, session, async (each) => ({ namespace: each.ns, ...(await stopIn(each, "all")) })));
      return show(cli, self, { namespaces: answers }, () => answers.map((one) => `${cli.paint.bold(`namespace ${one.namespace}`)}\n${stopText(one, cli.paint)}`).join("\n\n"));
    }
    const wanted = scopeOf(scope);
    const answer = await inSession(cli, self, "operate", (session) => stopIn(session, wanted));
    show(cli, self, answer, (value) => stopText(value, cli.paint));
  });
}

function stopText(value: ReturnType<typeof stopped> & Awaited<ReturnType<typeof found>>, paint: Paint): string {
  return [
    `${paint.red("stopped")}  ${value.stop}  ${visible(value.scope)}  at ${value.at}: nothing in it starts from here on`,
    "",
    foundText(value, paint),
    "",
    paint.dim(`next, by another person: signalbox lift ${value.stop} --reason "…"`),
  ].join("\n");
}

function liftCommand(cli: Cli): void {
  const command = cli.program.command("lift").argument("<stop>", "as `signalbox stops` names it");
  command.description("lift a stop or a revocation that another person made").requiredOption("--reason <text>", "recorded");
  examples(command, 'lift s1 --reason "mended in 1.4.1" --as second-operator').addHelpText("after", "\nExit codes:\n  0 lifted   2 usage   3 refused: the same person, unknown, or lifted before   7 plane unreachable");
  command.action(async (stop: string, { reason }: Said, self) => {
    const answer = await inSession(cli, self, "operate", async (session) => {
      const event = await controlGuard(session, { verb: "lift", stop, reason });
      const { kind, scope } = event.data as EventData<"guard.lifted">;
      const who = kind === "revocation" ? whoOf(scope, session.ns) : undefined;
      const credentials = who !== undefined && (await hasKeys(cli)) ? await reinstate(dataFolder(cli.io.env), who) : undefined;
      return { ...stopped(event), ...(credentials !== undefined && { credentials_may_be_issued_again: credentials }) };
    });
    show(cli, self, answer, (value) =>
      [
        `${cli.paint.green("lifted")}  ${value.stop}  ${visible(value.scope)}  at ${value.at}`,
        ...(value.kind !== "revocation"
          ? []
          : value.credentials_may_be_issued_again === undefined
            ? [cli.paint.yellow("credentials that were taken away stay so; new ones are issued by whoever has the plane's data folder")]
            : ["credentials that were taken away stay so; new ones may be issued: signalbox creds issue"]),
      ].join("\n"),
    );
  });
}

function revokeCommand(cli: Cli): void {
  const command = cli.program.command("revoke").argument("<scope>", "agent:<name>, version:<agent>@<version>, principal:<issuer>|<subject>, person:<name>");
  command
    .description("stop whoever this is, and take their credentials away: at once, on open connections and on what is queued")
    .requiredOption("--reason <text>", "recorded");
  examples(command, 'revoke agent:refund-assistant --reason "its key leaked"', 'revoke person:ada --reason "has left"').addHelpText(
    "after",
    "\nExit codes:\n  0 stopped, and credentials taken away where there are any   2 usage   3 refused   6 stopped in the plane, and the credentials still log in\n  7 plane unreachable",
  );
  command.action(async (scope: string, { reason }: Said, self) => {
    const wanted = scopeOf(scope);
    const answer = await inSession(cli, self, "operate", async (session) => {
      // the guard first: it needs nothing but the plane, and holds even when the credentials cannot be reached
      const event = await controlGuard(session, { verb: "revoke", scope: wanted, reason });
      const credentials = await takeAway(cli, session, wanted, reason);
      if (credentials.state === "not taken away") cli.ends(EXIT.failed);
      return { ...stopped(event), credentials, ...(await found(session, wanted)) };
    });
    show(cli, self, answer, (value) =>
      [
        `${cli.paint.red("revoked")}  ${value.stop}  ${visible(value.scope)}  at ${value.at}: nothing that they begin, or that rests on them, starts from here on`,
        credentialsText(value.credentials, cli.paint),
        "",
        foundText(value, cli.paint),
      ].join("\n"),
    );
  });
}

interface Taken {
  /** `nobody's`: the scope is about no credential, as a principal's. */
  readonly state: "taken away" | "nobody's" | "not taken away";
  readonly names: readonly string[];
  readonly problem?: string;
}

/** Credentials are signed with the keys of the data folder: without it only the guard's entry is made. */
async function takeAway(cli: Cli, session: Session, scope: Scope, reason: string): Promise<Taken> {
  const who = whoOf(scope, session.ns);
  if (who === undefined) return { state: "nobody's", names: [] };
  if (!(await hasKeys(cli))) {
    return { state: "not taken away", names: [], problem: `the plane's keys are not in \`${dataFolder(cli.io.env)}\`: run it where the plane's data folder is, or set SIGNALBOX_DATA` };
  }
  let result: RevokeResult;
  try {
    result = await revoke(dataFolder(cli.io.env), who, { url: session.login.url, reason });
  } catch (error) {
    return { state: "not taken away", names: [], problem: (error as Error).message };
  }
  const names = result.credentials.map(({ role, name }) => `${role} ${name}`);
  if (result.pushed) return { state: "taken away", names };
  return { state: "not taken away", names, problem: `written down, and the server has not heard of it: ${result.problem ?? "no reason given"}` };
}

function credentialsText({ state, names, problem }: Taken, paint: Paint): string {
  const which = [...new Set(names)].map(visible).join(", ");
  if (state === "nobody's") return "credentials  none: a principal logs in nowhere, agents act for it";
  if (state === "taken away") return `${paint.red("credentials")}  taken away, and their connections closed: ${which === "" ? "nobody had one" : which}`;
  return `${paint.yellow("credentials")}  not taken away: ${visible(problem ?? "")}`;
}

async function hasKeys(cli: Cli): Promise<boolean> {
  return (await knownNamespaces(dataFolder(cli.io.env))).length > 0;
}

export function scopeOf(text: string): Scope {
  const scope = scopeSchema.safeParse(text);
  if (scope.success) return scope.data;
  throw new CliError(EXIT.usage, `\`${visible(text)}\` is no scope`, `scopes are ${SCOPES}`);
}

/** Sends a control of the guard, and waits until it is recorded: from then on it holds. @throws CliError */
async function controlGuard(session: Session, wanted: Record<string, unknown>): Promise<EventBody> {
  const body = guardControlSchema.safeParse({ id: freshId(), ...wanted });
  if (!body.success) {
    const [issue] = body.error.issues;
    throw new CliError(EXIT.usage, `\`${issue?.path.join(".") ?? ""}\`: ${issue?.message.toLowerCase() ?? ""}`, "`signalbox stops` lists the stops");
  }
  const outcome = await send(session, { kind: "control", aggregate: GUARD, body: body.data, hear: subjects.live(session.ns, GUARD.kind, GUARD.name) });
  if ("rejection" in outcome) throw refusedBy(outcome.rejection.reasons);
  return outcome.event;
}

function stopped({ data, at, seq }: EventBody) {
  const { stop, kind, scope, by, reason } = data as EventData<"guard.stopped">;
  return { stop, kind, scope, by, reason, at, seq };
}

function inFlight(session: Session, scope: Scope | undefined): Promise<FlightAnswer> {
  return session.query<FlightAnswer>("in-flight", scope === undefined ? {} : { scope });
}

/** What was on its way. The stop holds whether or not anybody can list it. */
async function found(session: Session, scope: Scope): Promise<Pick<FlightAnswer, "in_flight" | "queued"> & { readonly unlisted?: string }> {
  try {
    const { in_flight, queued } = await inFlight(session, scope);
    return { in_flight, queued };
  } catch (error) {
    return { in_flight: [], queued: [], unlisted: (error as Error).message };
  }
}

function foundText({ in_flight, queued, unlisted }: Awaited<ReturnType<typeof found>>, paint: Paint): string {
  if (unlisted !== undefined) return paint.yellow(`what was in flight cannot be listed: ${visible(unlisted)}; later: signalbox in-flight`);
  const parts = [in_flight.length === 0 ? "nothing was in flight" : `${paint.bold("in flight")}: claimed before, they may be happening outside\n${rowsText(in_flight, paint)}`];
  if (queued.length > 0) parts.push(`${paint.bold("queued")}: approved, and will not start; what a read brings is not taken any more\n${rowsText(queued, paint)}`);
  return parts.join("\n\n");
}

function flightText({ in_flight, queued }: FlightAnswer, paint: Paint): string {
  if (in_flight.length + queued.length === 0) return "nothing is on its way";
  return [
    ...(in_flight.length === 0 ? [] : [`${paint.bold("in flight")}: claimed, and not reported yet\n${rowsText(in_flight, paint)}`]),
    ...(queued.length === 0 ? [] : [`${paint.bold("queued")}: approved, and waiting for a gateway\n${rowsText(queued, paint)}`]),
  ].join("\n\n");
}

function rowsText(rows: readonly FlightView[], paint: Paint): string {
  const cells = rows.map((one) => [one.run, one.action, one.attempt, one.state, one.tool, `${one.agent} ${one.version}`.trim(), one.team, one.principal, one.gateway, one.since]);
  return table(["RUN", "ACTION", "ATTEMPT", "STATE", "TOOL", "AGENT", "TEAM", "PRINCIPAL", "GATEWAY", "SINCE"], cells, paint);
}

function stopsText(stops: readonly StopRow[], paint: Paint): string {
  if (stops.length === 0) return "nothing was ever stopped";
  const rows = stops.map((one) => [one.stop, one.lifted_at === null ? "standing" : "lifted", one.kind, one.scope, one.by, one.reason, one.at, one.lifted_by === null ? "" : `${one.lifted_by}: ${one.lifted_reason ?? ""}`]);
  const standing = stops.find(({ lifted_at }) => lifted_at === null);
  const text = table(["STOP", "STATE", "KIND", "SCOPE", "BY", "REASON", "AT", "LIFTED BY"], rows, paint);
  return standing === undefined ? text : `${text}\n${paint.dim(`next, by another person: signalbox lift ${standing.stop} --reason "…"`)}`;
}

