/**
 * The matrix of roles and subjects, found by trying each on a real broker and compared with the checked-in
 * table. After a change that is meant: `UPDATE_GOLDEN=1 npm test`, and read the difference.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { Role } from "../../services/identity/roles.ts";
import { type IssueOptions, startTestServer, type TestServer } from "../harness/server.ts";
import { SUBJECTS } from "./subjects.ts";

const GOLDEN = new URL("./permissions.golden.txt", import.meta.url);

/** One principal of each role, all of namespace `default`. */
const PRINCIPALS: readonly (readonly [role: Role, name: string, options?: IssueOptions])[] = [
  ["provision", "p1"],
  ["coordinator", "c1"],
  ["gateway", "g1"],
  ["ask", "k1"],
  ["reader", "r1"],
  ["reveal", "v1"],
  ["agent", "alice"],
  ["tool", "t1", { tool: "stripe.refund" }],
  ["approver", "ann"],
  ["operator", "olga"],
  ["auditor", "otto"],
  ["developer", "dora", { team: "payments" }],
  ["subscriber", "sue"],
  ["system", "s1"],
];

let server: TestServer;
before(async () => {
  server = await startTestServer({ namespaces: ["default", "finance"] });
});
after(() => server.stop());

test("CORE-1 CORE-9 ID-2 ID-5: each role may publish and subscribe to what the golden table says, and nothing else", async () => {
  const columns: string[][] = [];
  for (const [role, name, options] of PRINCIPALS) {
    const nc = await server.connect(role, name, role === "system" ? undefined : "default", options);
    columns.push(await attempt(nc));
    await nc.close();
  }
  for (const [row, subject] of SUBJECTS.entries()) {
    if (!subject.includes("finance")) continue;
    assert.deepEqual(columns.map((column) => column[row]), PRINCIPALS.map(() => "-"), `${subject} is another namespace's`);
  }
  const width = Math.max(...SUBJECTS.map((subject) => subject.length));
  const line = (subject: string, cells: readonly string[]) =>
    `${subject.padEnd(width)} ${cells.map((cell, i) => cell.padEnd(PRINCIPALS[i]![0].length)).join(" ")}`.trimEnd();
  const table = [
    "# p: the broker lets it publish; s: subscribe; q: subscribe in the queue group q only.",
    "# Principals are of namespace default: agent alice, tool stripe.refund, developer of team payments,",
    "# approver ann, operator olga, gateway g1.",
    line("", PRINCIPALS.map(([role]) => role)),
    ...SUBJECTS.map((subject, row) => line(subject, columns.map((column) => column[row]!))),
    "",
  ].join("\n");
  if (process.env["UPDATE_GOLDEN"]) await writeFile(GOLDEN, table);
  assert.equal(table, await readFile(GOLDEN, "utf8"));
});

/** Tries every subject, and reads from the broker's own refusals what it may. */
async function attempt(nc: NatsConnection): Promise<string[]> {
  // A refusal names the subject that a feed is led to, so it is counted, not compared.
  let refusals = 0;
  const status = nc.status();
  const listening = (async () => {
    for await (const event of status) {
      if (event.permissionContext?.operation === "publish") refusals += 1;
    }
  })();
  const cells: string[] = [];
  for (const subject of SUBJECTS) {
    let cell = "";
    if (!/[*>]/.test(subject)) {
      const before = refusals;
      nc.publish(subject);
      await nc.flush();
      await settled();
      if (refusals === before) cell += "p";
    }
    if (await subscribes(nc, subject)) cell += "s";
    else if (await subscribes(nc, subject, "q")) cell += "q";
    cells.push(cell === "" ? "-" : cell);
  }
  (status as unknown as { stop(): void }).stop();
  await listening;
  return cells;
}

async function subscribes(nc: NatsConnection, subject: string, queue?: string): Promise<boolean> {
  let refused = false;
  const subscription = nc.subscribe(subject, {
    ...(queue !== undefined && { queue }),
    callback: (error) => {
      refused ||= error !== null;
    },
  });
  // A refusal comes before the answer to the ping that follows.
  await nc.flush();
  await settled();
  subscription.unsubscribe();
  return !refused;
}

/** Lets what has arrived reach its listeners. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
