/**
 * `npm run peers [-- --seconds <n>] [--json <file>]`: neighbours on this machine beside the plane; `npm run bench` does
 * the same at its end.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { besideTable, measureBeside } from "./beside.ts";

const { values } = parseArgs({ options: { seconds: { type: "string" }, json: { type: "string" } } });
const say = (line: string) => console.error(line);
const { path } = await obtainNatsServer({ log: say });
process.env["SIGNALBOX_NATS_SERVER"] ??= path;
const beside = await measureBeside(Number(values.seconds ?? "6"), path, say);
console.log(besideTable(beside));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(beside, undefined, 2)}\n`);
