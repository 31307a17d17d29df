/** What a plane knows of its gateways reaches the demo's tools: alone, they may promise that a call did nothing (EXEC-7). */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { startThreads } from "../../infra/threads.ts";
import { parseDocument } from "../../services/registry/parse.ts";
import { startOffice } from "../coordinator/office.ts";

const POLICY = `@id("all") permit (principal, action, resource);\n`;

for (const [onlyGateway, found] of [[true, "none"], [undefined, "unknown"]] as const) {
  test(`EXEC-7: a gateway that is ${onlyGateway === true ? "the only one says that a dead one's call did nothing" : "one of several does not know what a dead one's call did"}`, { timeout: 60_000 }, async (t) => {
    const office = await startOffice({ coordinator: false });
    const stops = [() => office.stop()];
    t.after(async () => {
      for (const stop of stops.reverse()) await stop();
    });
    await office.coordinator();
    const parsed = parseDocument(await readFile(new URL("../../infra/demo/tools/stripe.create_refund.yaml", import.meta.url), "utf8"), "refund");
    assert.ok(parsed.ok && parsed.document.kind === "tool");
    const tool = { ...parsed.document.value, timeout_ms: 50 };
    const contract = { agent: { name: "teller", owner: "o", team: "t", purpose: "p" }, tools: { allowlist: [{ name: tool.name }] } };
    await office.applyValues([tool, contract], POLICY);
    const teller = await office.agent("teller");
    const run = "teller_r1";
    await office.begin(teller, run);
    const { action } = await office.ask(teller, run, "p1", tool.name, "approved", { charge_id: "ch_1001", amount_usd: 40 });
    // it has the claim, and is never heard of again
    const dead = await office.gateway("dead");
    assert.equal((await dead.claim(run, action ?? "")).verdict, "granted");
    const { url, dataDir } = office.server;
    const plane = await startThreads({ url, dataDir, keyNamespaces: [office.ns], namespaces: [office.ns], roles: ["gateway"], version: "0.0.0", onlyGateway });
    stops.push(() => plane.stop());
    const { body } = await office.event(run, "action.probed");
    assert.equal(body.data["found"], found);
  });
}
