/** `npm start`: a whole plane in one process, and a demo to look at. Stays up until Ctrl-C. */
import { ServerNotStarted } from "./nats/embedded.ts";
import { CONTEXTS, type RunningPlane, startPlane } from "./plane.ts";
import { type Settings, USAGE, readSettings } from "./settings.ts";
import { CLERK_RUN, DEMO_RUN, INJECTED_RUN, applyDemo, cli, play, printTransitions } from "./demo/play.ts";

const say = (line: string) => console.log(`signalbox: ${line}`);

try {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings.help) console.log(USAGE);
  else await run(settings);
} catch (error) {
  fail(error);
}

async function run(settings: Settings): Promise<void> {
  const interrupted = new Promise<string>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
  });
  const plane = await startPlane(settings, say);
  say(`plane up: ${settings.roles.join(", ")} for ${settings.namespaces.join(", ")} on ${plane.url}`);
  const stopPrinting = settings.demo ? await demo(plane) : undefined;
  say("contexts for the CLI and for `nats`: " + CONTEXTS.map(({ context }) => context).join(", "));
  say("look around with `npx signalbox status`, `runs`, `tail`; stop with Ctrl-C");
  const lost = await Promise.race([interrupted.then(() => undefined), plane.lost]);
  if (lost !== undefined) process.exitCode = 1;
  say(lost === undefined ? "stopping" : `${lost} ended by itself; the server's log is in ${settings.dataDir}/nats/server.log`);
  await stopPrinting?.();
  await plane.stop();
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
