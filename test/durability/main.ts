/**
 * `npm run durability [-- <times>]`: what an acknowledgement promises. Messages are stored under load, and then the server
 * is killed, or the power goes; afterwards every acknowledged one is looked for. Measured for each way to synchronise, on
 * one server and on three that hold the stream together, of which one, two or all end at the same moment.
 */
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { noDisk } from "./disk.ts";
import { once, type Outcome } from "./once.ts";
import { onReplicas } from "./replicas.ts";

process.env["SIGNALBOX_NATS_SERVER"] ??= (await obtainNatsServer({ log: (line) => console.error(line) })).path;
const times = Number(process.argv[2] ?? 3);
const why = await noDisk();
if (why !== undefined) console.log(`no power can be cut here: ${why}`);

async function measure(what: Record<string, unknown>, promised: boolean, one: () => Promise<Outcome>): Promise<void> {
  let acknowledged = 0;
  let lost = 0;
  let stuck = 0;
  for (let i = 0; i < times; i++) {
    const outcome = await one();
    acknowledged += outcome.acknowledged;
    lost += outcome.lost;
    if (outcome.stuck === true) stuck += 1;
  }
  console.log(JSON.stringify({ ...what, times, acknowledged, lost, ...(stuck > 0 && { stuck }) }));
  if (lost > 0 && promised) process.exitCode = 1;
}

for (const sync of ["2m", "always"]) {
  for (const mishap of ["killed", "power cut"] as const) {
    if (mishap === "power cut" && why !== undefined) continue;
    const promised = sync === "always" || mishap === "killed";
    await measure({ servers: 1, sync_interval: sync, mishap }, promised, () => once(sync, mishap));
    // what two lose of what nobody had synchronised is measured, and promised by nobody
    for (const count of [1, 2, 3] as const) await measure({ servers: 3, sync_interval: sync, mishap, of: count }, promised || count === 1, () => onReplicas(sync, mishap, count));
  }
}
