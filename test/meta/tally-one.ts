/** Runs one test file and prints its tally: a process of its own, because node:test runs no tests from within a test. */
import { basename } from "node:path";
import { run } from "node:test";
import { Tally } from "./tally.ts";

const tally = new Tally((line) => console.log(line), { titles: false });
for await (const event of run({ files: process.argv.slice(2), isolation: "process", timeout: 20_000 })) tally.take(event, basename);
console.log(tally.closingLine());
