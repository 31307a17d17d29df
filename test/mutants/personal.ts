/** Faults by which a personal field would be read by whom it is not for, or would outlive its subject's erasure. */
import type { Mutant } from "./mutant.ts";

const SEALED = "test/erase/sealed.int.test.ts";
const ERASE = "test/erase/erase.int.test.ts";
const UNIT = "test/erase/sealing.unit.test.ts";

export const OF_PERSONS: readonly Mutant[] = [
  {
    id: "10-not-sealed",
    law: 10,
    file: "services/coordinator/turn.ts",
    original: "const input = sources.personal.seal(state, arrival.input, arrival.message, fetching(sources));",
    replacement: "const { input } = arrival;\n  void fetching;",
    broken: "what is personal in an input is recorded as it came",
    caughtBy: [{ file: SEALED, only: "an input reaches the tool as it was said" }],
  },
  {
    id: "10-output-plain",
    law: 10,
    file: "services/gateway/output.ts",
    original: "const reported = tools.seal === undefined ? value : await tools.seal(value);",
    replacement: "const reported = value;",
    broken: "the gateway reports what a tool gave in plain text",
    caughtBy: [{ file: SEALED, only: "a large output is stored sealed" }],
  },
  {
    id: "10-left-on-disk",
    law: 10,
    file: "services/coordinator/personal.ts",
    original: "else if (message.inHand) void this.#shredded(kind === \"propose\" ? \"INBOX\" : \"CONTROL\", message);",
    replacement: "else message.ack();",
    broken: "what came in in plain text stays in the store's blocks",
    caughtBy: [{ file: ERASE, only: "what came in is overwritten" }],
  },
  {
    id: "10-any-run",
    law: 10,
    file: "services/identity/sealing.ts",
    original: "return [\"signalbox.personal.1\", ns, run, at, subject, id]",
    replacement: "return [\"signalbox.personal.1\", ns, subject, id]",
    broken: "a sealed value opens in another run and at another place",
    caughtBy: [{ file: UNIT, only: "opens in no other run" }],
  },
  {
    id: "10-dice",
    law: 10,
    file: "services/identity/subject-keys.ts",
    original: "await this.#put(publisher, subject, message, last?.seq ?? 0);",
    replacement: "await publisher.publish(subjects.key(ns, subject), Buffer.from(JSON.stringify(message)));",
    broken: "two who need a subject's first key make one each",
    caughtBy: [{ file: ERASE, only: "two who need a subject's first key" }],
  },
  {
    id: "10-key-kept",
    law: 10,
    file: "services/identity/subject-keys.ts",
    original: "for (const seq of found) await shred(nc, streamName(\"KEYS\", ns), seq);",
    replacement: "void shred;",
    broken: "an erased subject's key stays in the store",
    caughtBy: [{ file: ERASE, only: "destroys the key" }],
  },
  {
    id: "10-restored",
    law: 10,
    file: "services/identity/erasures.ts",
    original: "return this.#keys.has(key);",
    replacement: "return key === undefined;",
    broken: "a key that a backup brings back opens what was erased",
    caughtBy: [{ file: ERASE, only: "a key that a restored store has back" }],
  },
  {
    id: "10-judged-plain",
    law: 10,
    file: "services/registry/consistency.ts",
    original: "if (!all.some((mark) => touches(mark, fieldSegments(field)))) return;",
    replacement: "if (!all.some((mark) => mark.length > 99)) return;",
    broken: "a contract may ask by a personal field",
    caughtBy: [{ file: "test/erase/judgement.unit.test.ts", only: "a contract that asks by a personal field" }],
  },
];
