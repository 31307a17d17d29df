/** `doctor`: what could be wrong on this machine, and how each is mended. */
import { execFile } from "node:child_process";
import { access, constants, readdir, stat } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { isRecentEnough } from "../bus/connection.ts";
import { contextPath, readContext } from "../bus/context.ts";
import { behind, type StatusAnswer } from "../projection/views.ts";
import type { RoleReadiness } from "../telemetry/readiness.ts";
import { type Cli, examples, globalsOf, show } from "./cli.ts";
import { EXIT, type Exit } from "./exit.ts";
import type { Io } from "./io.ts";
import { dataFolder, isAlive, readPlane } from "./plane.ts";
import { type Globals, openSession, type Session } from "./session.ts";

interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "fault";
  readonly found: string;
  readonly help?: string;
}

const MINIMUM_NODE = 24;
const MAX_SKEW_MS = 2_000;

export function doctorCommand(cli: Cli): void {
  const command = cli.program.command("doctor").description("look for what is wrong, and say how to mend it");
  examples(command, "doctor", "doctor --json");
  command.action(async (_options, self) => {
    const globals = globalsOf(self);
    const local = [node(), await natsServer(cli.io), await folder(cli.io), ...(await contexts(cli.io))];
    const { findings, reached } = await plane(cli.io, globals);
    const all = [...local, ...findings];
    show(cli, self, { findings: all }, () =>
      all.map((one) => `${mark(one, cli)} ${one.check.padEnd(12)}  ${one.found}${one.help === undefined ? "" : `\n   help: ${one.help}`}`).join("\n"),
    );
    const exit: Exit = !reached ? EXIT.unreachable : all.some(({ state }) => state === "fault") ? EXIT.failed : EXIT.done;
    cli.ends(exit);
  });
}

function mark({ state }: Finding, { paint }: Cli): string {
  return state === "ok" ? paint.green("ok") : state === "warning" ? paint.yellow("? ") : paint.red("! ");
}

function node(): Finding {
  const found = `node ${process.versions.node}`;
  if (Number.parseInt(process.versions.node, 10) >= MINIMUM_NODE) return { check: "node", state: "ok", found };
  return { check: "node", state: "fault", found, help: `${MINIMUM_NODE} or newer is needed; \`npm start\` and \`npx signalbox\` bring one` };
}

async function natsServer(io: Io): Promise<Finding> {
  const named = io.env["SIGNALBOX_NATS_SERVER"];
  const candidates = named ? [named] : (io.env["PATH"] ?? "").split(delimiter).map((entry) => join(entry, "nats-server"));
  for (const path of candidates) {
    if (!(await can(path, constants.X_OK))) continue;
    const { stdout } = await promisify(execFile)(path, ["--version"]).catch(() => ({ stdout: "" }));
    const version = /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    // the API level is known only of a server that runs
    const recent = version !== undefined && isRecentEnough(version, Number.POSITIVE_INFINITY);
    if (recent) return { check: "nats-server", state: "ok", found: `${version}, ${path}` };
    return { check: "nats-server", state: "fault", found: `${version ?? "of no known version"}, ${path}`, help: "2.12 or newer is needed; name another with SIGNALBOX_NATS_SERVER" };
  }
  if (named) return { check: "nats-server", state: "fault", found: `SIGNALBOX_NATS_SERVER names \`${named}\`, which cannot be run`, help: "name a nats-server, or unset it" };
  return { check: "nats-server", state: "warning", found: "none on PATH", help: "`npm start` fetches one by itself; a plane on another machine needs none here" };
}

async function folder(io: Io): Promise<Finding> {
  const path = dataFolder(io.env);
  let existing = path;
  while (!(await can(existing, constants.F_OK)) && dirname(existing) !== existing) existing = dirname(existing);
  if (await can(existing, constants.W_OK | constants.X_OK)) return { check: "data folder", state: "ok", found: existing === path ? path : `${path} (not there yet)` };
  return { check: "data folder", state: "fault", found: `${path} cannot be written`, help: "set SIGNALBOX_DATA to a folder of yours, or change its owner" };
}

/** Whoever reads a credential is its bearer: nobody else may. */
async function contexts(io: Io): Promise<Finding[]> {
  const dataDir = dataFolder(io.env);
  const names = (await readdir(dirname(contextPath("x", dataDir))).catch(() => [])).filter((file) => file.endsWith(".json"));
  if (names.length === 0) return [{ check: "contexts", state: "warning", found: "none in the data folder", help: "`npm start` writes them" }];
  const open: string[] = [];
  const broken: string[] = [];
  for (const file of names) {
    const context = await readContext(file.slice(0, -".json".length), dataDir).catch(() => undefined);
    if (context?.creds === undefined || !(await can(context.creds, constants.R_OK))) broken.push(file.slice(0, -".json".length));
    for (const path of [context?.path, context?.creds]) {
      if (path !== undefined && ((await stat(path).catch(() => undefined))?.mode ?? 0) & 0o077) open.push(path);
    }
  }
  const findings: Finding[] = [];
  if (open.length > 0) findings.push({ check: "contexts", state: "fault", found: `others may read ${open.join(", ")}`, help: `chmod 600 ${open.join(" ")}` });
  if (broken.length > 0) findings.push({ check: "contexts", state: "fault", found: `no credential for ${broken.join(", ")}`, help: "`signalbox creds issue` writes credential and context" });
  return findings.length > 0 ? findings : [{ check: "contexts", state: "ok", found: names.map((file) => file.slice(0, -".json".length)).join(", ") }];
}

async function plane(io: Io, globals: Globals): Promise<{ findings: Finding[]; reached: boolean }> {
  const file = await readPlane(dataFolder(io.env));
  const findings: Finding[] = [];
  if (file !== undefined && !isAlive(file)) {
    findings.push({ check: "process", state: "warning", found: `the plane of ${file.started_at} (process ${file.pid}) is gone`, help: "`npm start` finds what it stored and goes on" });
  }
  else if (file?.health !== undefined) findings.push(await health(file.health));
  let session: Session;
  try {
    session = await openSession(io, globals, "read");
  } catch (error) {
    const { message, help } = error as Error & { help?: string };
    findings.push({ check: "plane", state: "fault", found: message, ...(help !== undefined && { help }) });
    return { findings, reached: false };
  }
  try {
    const info = session.nc.info as { version?: string } | undefined;
    findings.push({ check: "plane", state: "ok", found: `${session.login.url}, nats-server ${info?.version ?? "unknown"}, ${await session.nc.rtt()} ms, as ${session.login.context}` });
    findings.push(...(await readModel(session)));
  } finally {
    await session.close();
  }
  return { findings, reached: true };
}

/** What the processes of this machine's plane say of themselves. */
async function health(url: string): Promise<Finding> {
  const check = "health";
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000), headers: { connection: "close" } });
    const { roles } = (await answer.json()) as { roles: readonly RoleReadiness[] };
    const unready = roles.filter(({ ready }) => !ready).map(({ role, ns, why }) => `${role}${ns === undefined ? "" : ` of ${ns}`}: ${why ?? "not ready"}`);
    if (answer.ok) return { check, state: "ok", found: `${url}/readyz: ${roles.map(({ role }) => role).join(", ")} ready` };
    return { check, state: "warning", found: `${url}/readyz: ${unready.join("; ") || "not ready"}`, help: "what waits goes on when it is ready; the plane's log says more" };
  } catch (error) {
    return { check, state: "fault", found: `${url} does not answer: ${(error as Error).message}`, help: "the process is stuck or was just killed; `npm start` goes on with what it stored" };
  }
}

async function readModel(session: Session): Promise<Finding[]> {
  const asked = Date.now();
  let status: StatusAnswer;
  try {
    status = await session.query<StatusAnswer>("status");
  } catch (error) {
    const { message, help } = error as Error & { help?: string };
    return [{ check: "read model", state: "fault", found: message, ...(help !== undefined && { help }) }];
  }
  const answered = Date.now();
  const faults = status.configuration_faults;
  const streams: Finding =
    faults.length === 0
      ? { check: "streams", state: "ok", found: `as provisioned; the journal has ${status.journal.messages} events and takes no deletes` }
      : { check: "streams", state: "fault", found: `not as they must be: ${faults.join(", ")}`, help: "`npm start` repairs them; on a server of your own it needs the role `provision`" };
  const lag = behind(status);
  const model: Finding =
    status.alarms.length > 0
      ? { check: "read model", state: "fault", found: `${status.alarms.length} alarm(s), the first at message ${status.alarms[0]?.stream_seq}: ${status.alarms[0]?.why}`, help: "`signalbox verify --all` says which run" }
      : { check: "read model", state: lag > 10_000 ? "warning" : "ok", found: lag === 0 ? "holds the whole journal" : `${lag} events behind` };
  // half of the round trip is the best guess of when the plane looked at its clock
  const skew = Math.abs(Date.parse(status.now) - (asked + answered) / 2);
  const clock: Finding =
    skew <= MAX_SKEW_MS
      ? { check: "clock", state: "ok", found: `within ${Math.ceil(skew)} ms of the plane's` }
      : { check: "clock", state: "fault", found: `${Math.round(skew / 1000)} s apart from the plane's`, help: "set both by NTP: deadlines and expiries are compared with the server's time" };
  return [streams, model, clock];
}

function can(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(() => true, () => false);
}
