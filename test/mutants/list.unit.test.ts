/** The list of mutants is run by hand; what keeps it from rotting is here, in the gate. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { mutated, places } from "./apply.ts";
import { MUTANTS } from "./list.ts";
import { LAWS } from "./mutant.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

describe("mutants", () => {
  test("each law that is built has three or more", () => {
    const few = LAWS.filter((law) => MUTANTS.filter((mutant) => mutant.law === law).length < 3);
    assert.deepEqual(few, []);
  });

  test("ids are unique, and begin with their law", () => {
    const ids = MUTANTS.map(({ id }) => id);
    assert.deepEqual(ids.filter((id, index) => ids.indexOf(id) !== index), []);
    assert.deepEqual(MUTANTS.filter(({ id, law }) => !id.startsWith(`${law}-`)), []);
  });

  test("each original stands exactly once in its file, and its replacement is another text", () => {
    const wrong = MUTANTS.flatMap((mutant) => {
      const found = places(read(mutant.file), mutant);
      return found === 1 && mutant.original !== mutant.replacement ? [] : [`${mutant.id}: ${found} times in ${mutant.file}`];
    });
    assert.deepEqual(wrong, []);
  });

  test("what a mutant leaves can be read: it fails for what it does, and not for its form", () => {
    for (const mutant of MUTANTS) stripTypeScriptTypes(mutated(read(mutant.file), mutant));
  });

  test("each is caught by a test that exists", () => {
    const lost = MUTANTS.flatMap(({ id, caughtBy }) => {
      if (caughtBy.length === 0) return [`${id}: by nothing`];
      return caughtBy.flatMap(({ file, only }) => {
        if (!file.endsWith(".test.ts") || !existsSync(join(ROOT, file))) return [`${id}: ${file} is no test`];
        return only === undefined || read(file).includes(only) ? [] : [`${id}: ${file} has no title with \`${only}\``];
      });
    });
    assert.deepEqual(lost, []);
  });
});
