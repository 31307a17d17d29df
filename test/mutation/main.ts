/**
 * `npm run mutation [-- <path>…]`: tries every mutant of the files in `targets.ts`, or of those that are named, and
 * prints what no test catches. Leaves with 1 by a survivor that `argued.ts` has no argument for, and by an argument for
 * what does not survive. Nothing is written: mutants live in the memory of processes that are ended afterwards.
 *
 * A tool of our own, because those of the registry start the tests anew for every mutant: a process costs half a second
 * of processor, most tests of a machine cost some milliseconds, and a server of the tests is started once.
 */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { Argued } from "./argument.ts";
import { ARGUED } from "./argued.ts";
import { TARGETS, type Target } from "./targets.ts";
import { type Survivor, room, tryMutants } from "./try.ts";

const ROOT = resolve(import.meta.dirname, "..", "..");
const wanted = process.argv.slice(2).map((path) => path.replace(/^\.\//, ""));
const unknown = wanted.filter((path) => !TARGETS.some(({ files }) => files.some((file) => file.startsWith(path))));
if (unknown.length > 0) throw new Error(`\`${unknown.join("`, `")}\` is not among the targets: add it to \`test/mutation/targets.ts\` with its tests`);

const argues = (argued: Argued, { file, text, from, to }: Survivor) => argued.file === file && argued.line === text && argued.from === from && argued.to === to;
const place = ({ file, line, text, from, to, uncovered }: Survivor) => `${file}:${line} ${text}\n    ${from}  ->  ${to}${uncovered ? "  (no test comes by)" : ""}`;

// one more than there are processors: tests of a live plane wait most of their time
const all = room(availableParallelism() + 1);
let failed = false;
await Promise.all(
  TARGETS.flatMap(narrowed).map(async ({ files, tests }) => {
    const { mutants, caught, hung, survivors, seconds } = await tryMutants(ROOT, files, tests, (line) => console.error(line), all);
    const open = survivors.filter((one) => !ARGUED.some((argued) => argues(argued, one)));
    const idle = ARGUED.filter((argued) => files.includes(argued.file) && !survivors.some((one) => argues(argued, one)));
    for (const one of open) console.log(`survives  ${place(one)}`);
    for (const one of idle) console.log(`argued, and caught or gone  ${one.file}: ${one.line}\n    ${one.from}  ->  ${one.to}`);
    const sum = `${mutants} mutants: ${caught} caught, ${hung} never end, ${survivors.length - open.length} argued, ${open.length} survive`;
    console.log(`${files.join(", ")}\n${sum}, in ${Math.round(seconds)} s\n`);
    failed ||= open.length > 0 || idle.length > 0;
  }),
);
process.exit(failed ? 1 : 0);

function narrowed({ files, tests }: Target): Target[] {
  const some = wanted.length === 0 ? files : files.filter((file) => wanted.some((path) => file.startsWith(path)));
  return some.length === 0 ? [] : [{ files: some, tests }];
}
