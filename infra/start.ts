/**
 * `npm start`: a whole plane in one process, and a demo to look at; or, with credentials that were handed out, some roles
 * of a plane elsewhere. Stays up until it is told to stop, and then ends within a bound.
 */
import { type RunningHealth, startHealth } from "./health.ts";
import { type JoinedPlane, joinPlane, joins } from "./join.ts";
import { ServerNotStarted } from "./nats/embedded.ts";
import { CONTEXTS, type RunningPlane, startPlane } from "./plane.ts";
import { provisionOnly } from "./provision.ts";
import { type Settings, USAGE, SettingsError, readSettings } from "./settings.ts";
import { CLERK_RUN, DEMO_RUN, INJECTED_RUN, applyDemo, cli, play, printTransitions } from "./demo/play.ts";

/** What is in hand gets this long to end: less than an orchestrator waits before it kills. */
const STOP_WITHIN_MS = 20_000;

const say = (line: string) => console.log(`signalbox: ${line}`);

try {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings.help) console.log(USAGE);
  else if (settings.provisionOnly) await provisionOnly(settings, say);
  else await run(settings);
} catch (error) {
  fail(error);
}

async function run(settings: Settings): Promise<void> {
  const interrupted = new Promise<undefined>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(undefined));
  });
  const health = settings.health === undefined ? undefined : await answering(settings.health);
  const starting = joins(settings) ? joinPlane(settings, say, health) : startPlane(settings, say, health);
  const plane = await Promise.race([starting, interrupted]);
  // told to stop while it starts: nothing is in hand yet that the streams do not hold
  if (plane === undefined) return ended(health);
  say(`plane up: ${settings.roles.join(", ")} for ${settings.namespaces.join(", ")} on ${plane.url}`);
  const stopPrinting = plane.keys === undefined ? undefined : await welcome(plane);
  const lost = await Promise.race([interrupted, plane.lost]);
  if (lost !== undefined) process.exitCode = 1;
  say(lost === undefined ? "stopping" : `${lost} ended by itself; the server's log is in ${settings.dataDir}/nats/server.log`);
  await stopPrinting?.();
  await within(plane);
  return ended(health);
}

/** @throws SettingsError */
async function answering(address: NonNullable<Settings["health"]>): Promise<RunningHealth> {
  try {
    const health = await startHealth(address);
    say(`health on ${health.url}/livez and /readyz`);
    return health;
  } catch (error) {
    throw new SettingsError(`health cannot be answered on ${address.host}:${address.port}: ${(error as Error).message}`, "choose another port with --health");
  }
}

async function welcome(plane: RunningPlane): Promise<(() => Promise<void>) | undefined> {
  const stopPrinting = plane.settings.demo ? await demo(plane) : undefined;
  say("contexts for the CLI and for `nats`: " + CONTEXTS.map(({ context }) => context).join(", "));
  say("look around with `npx signalbox status`, `runs`, `tail`; stop with Ctrl-C");
  return stopPrinting;
}

/** Whatever is not done by then is left in the streams, as after a kill, and goes on elsewhere. */
async function within(plane: RunningPlane | JoinedPlane): Promise<void> {
  const late = new Promise<"late">((resolve) => setTimeout(() => resolve("late"), STOP_WITHIN_MS).unref());
  if ((await Promise.race([plane.stop(), late])) === "late") say(`not done after ${STOP_WITHIN_MS / 1000} seconds; the rest stays in the streams`);
}

async function ended(health: RunningHealth | undefined): Promise<void> {
  await health?.close();
  say("stopped");
  process.exit();
}

/** A plane without all its services cannot play it to the end; what waits then goes on when they are there. */
async function demo(plane: RunningPlane): Promise<(() => Promise<void>) | undefined> {
  const ns = plane.settings.namespaces[0];
  if (ns === undefined) return undefined;
  if (plane.settings.roles.length < 4) {
    say("the demo needs all roles in one process; it is not played");
    return undefined;
  }
  await applyDemo(plane);
  const stopPrinting = await printTransitions(plane, ns);
  say(`two agents propose (runs ${DEMO_RUN}, ${INJECTED_RUN}, ${CLERK_RUN}); what they proposed before is not done again`);
  const { statuses, waiting } = await play(plane, ns);
  for (const [proposal, status] of Object.entries(statuses)) console.log(`  ${proposal.padEnd(15)} ${status}`);
  if (waiting.size > 0) {
    say("people are asked:");
    for (const { run, action } of waiting.values()) console.log(`  npx signalbox approve ${run} ${action}`);
    await cli(plane, ["approvals"]);
  }
  return stopPrinting;
}

function fail(error: unknown): never {
  const { message, help } = error as { message?: string; help?: string };
  const text = error instanceof ServerNotStarted || help !== undefined ? message : error instanceof Error ? (error.stack ?? message) : String(error);
  console.error(`signalbox: ${text}${help === undefined ? "" : `\n  help: ${help}`}`);
  process.exit(1);
}
