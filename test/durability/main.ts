/**
 * `npm run durability [-- <times>]`: what an acknowledgement promises. Messages are stored under load, and then the server
 * is killed, or the power goes; afterwards every acknowledged one is looked for. Measured for each way to synchronise.
 */
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { noDisk } from "./disk.ts";
import { once } from "./once.ts";

process.env["SIGNALBOX_NATS_SERVER"] ??= (await obtainNatsServer({ log: (line) => console.error(line) })).path;
const times = Number(process.argv[2] ?? 3);
const why = await noDisk();
if (why !== undefined) console.log(`no power can be cut here: ${why}`);
for (const sync of ["2m", "always"]) {
  for (const mishap of ["killed", "power cut"] as const) {
    if (mishap === "power cut" && why !== undefined) continue;
    let acknowledged = 0;
    let lost = 0;
    for (let i = 0; i < times; i++) {
      const outcome = await once(sync, mishap);
      acknowledged += outcome.acknowledged;
      lost += outcome.lost;
    }
    console.log(JSON.stringify({ sync_interval: sync, mishap, times, acknowledged, lost }));
    if (lost > 0 && (sync === "always" || mishap === "killed")) process.exitCode = 1;
  }
}
