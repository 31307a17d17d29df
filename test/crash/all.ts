/** `npm run crash`: the crash tests without their time limits; every boundary, and programs for as long as they are worth. */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";

process.env["CRASH_ALL"] = "1";
process.env["SIGNALBOX_NATS_SERVER"] ??= (await obtainNatsServer({ log: (line) => console.error(line) })).path;
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".crash.test.ts"));
const tests = run({ files: files.map((name) => join(import.meta.dirname, name)), concurrency: 1 });
tests.on("test:fail", () => (process.exitCode = 1));
tests.compose(spec).pipe(process.stdout);
await once(tests, "end");
