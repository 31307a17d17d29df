/** What the tests of faults share: a plane, tools with a ledger of their own, and roles that log in over a link. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type Logger, pino } from "pino";
import { actor } from "../../schemas/ids.ts";
import { streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { type Box, connect } from "../../services/client/index.ts";
import { Coordinator } from "../../services/coordinator/coordinator.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { startAsk } from "../../services/ask/ask.ts";
import { checkAggregate } from "../../services/replay/journal.ts";
import { type TestPlane, startTestPlane } from "../harness/plane.ts";
import type { TestServer } from "../harness/server.ts";
import { type Behaviour, Ledger, serveTools, toolDocuments } from "../crash/tools.ts";

/** Of one attempt of a tool. */
export const TOOL_TIMEOUT_MS = 1_000;
const RETRIES = 4;
const PERMIT = `@id("all") permit (principal, action, resource);\n`;
const CLERK = {
  agent: { name: "clerk", owner: "owner", team: "team", purpose: "to be cut off" },
  budgets: {},
  tools: { allowlist: [{ name: "c.read" }, { name: "c.write" }, { name: "c.same" }] },
};
const ASKER = {
  agent: { name: "asker", owner: "owner", team: "team", purpose: "to be answered late" },
  budgets: {},
  tools: { allowlist: [{ name: "c.write", requires_approval: true, approval_expires_seconds: 2 }] },
};

export interface Office {
  readonly plane: TestPlane;
  readonly ledger: Ledger;
  /** @param url of a link; the server's own when left out */
  coordinator(options?: { readonly url?: string; readonly onLog?: (entry: LogEntry) => void }): Promise<() => Promise<void>>;
  gateway(name: string, url?: string): Promise<() => Promise<void>>;
  /** The published client with the credential of `clerk`; whoever opens it closes it. */
  clerk(url?: string): Promise<Box>;
  /** A token for a run of clerk. */
  token(run: string): string;
  /** Replays and verifies, byte for byte. */
  assertSound(run: string): Promise<void>;
  stop(): Promise<void>;
}

export interface LogEntry {
  readonly level: number;
  readonly msg: string;
  readonly [key: string]: unknown;
}

export async function openOffice(options: { readonly server?: TestServer } = {}): Promise<Office> {
  const plane = await startTestPlane(options.server === undefined ? {} : { server: options.server });
  const { server, ns } = plane;
  const ledger = new Ledger();
  const stops: (() => Promise<unknown>)[] = [];
  /** The same function twice is done once. */
  const later = (stop: () => Promise<unknown>) => {
    let stopped: Promise<void> | undefined;
    const once = () => (stopped ??= stop().then(() => undefined));
    stops.push(once);
    return once;
  };
  const coordinator: Office["coordinator"] = async ({ url, onLog } = {}) => {
    const nc = await server.connect("coordinator", `c-${randomUUID().slice(0, 8)}`, undefined, url === undefined ? {} : { url });
    const one = new Coordinator({ nc, ns, log: loggerTo(onLog) });
    await one.start();
    return later(async () => {
      await one.stop();
      await nc.close();
    });
  };
  await serveTools(server, ns, ledger);
  const stopFirst = await coordinator();
  await plane.applyValues([...toolDocuments(TOOL_TIMEOUT_MS, RETRIES), CLERK, ASKER], PERMIT);
  await stopFirst();
  const ask = await startAsk({ nc: await server.connect("ask", "ask"), namespaces: [ns], log: pino({ level: "silent" }) });
  const journal = new StreamReader(await server.connect("coordinator", "checker"), streamName("JOURNAL", ns));
  return {
    plane,
    ledger,
    coordinator,
    gateway: async (name, url) => {
      const nc = await server.connect("gateway", name, undefined, url === undefined ? {} : { url });
      const gateway = new Gateway({ nc, ns, name: actor(name), ackWaitMs: 2_000, repeatMs: 500 });
      await gateway.start();
      return later(async () => {
        await gateway.stop(0);
        await nc.close();
      });
    },
    clerk: async (url = server.url) => {
      const { creds } = await server.issue("agent", "clerk", ns);
      return connect({ url, creds, env: {} });
    },
    token: (run) => plane.issuer.token({ agent: "clerk", run }),
    assertSound: async (run) => {
      const checked = await checkAggregate(journal, ns, "run", run);
      assert.ok(checked, run);
      assert.equal(checked.replay.difference, undefined, run);
      assert.equal(checked.replay.identical, checked.replay.events, run);
      assert.equal(checked.verify.fault, undefined, run);
    },
    stop: async () => {
      for (const stop of stops.reverse()) await stop();
      await ask.stop();
      await plane.stop();
    },
  };
}

export const write = (step: string, does: readonly Behaviour[] = ["ok"], slow?: number) => ({ step, does: [...does], ...(slow !== undefined && { slow }) });

/** Resolves when something holds that is told of by nobody in particular: looked at with every turn of the loop. */
export async function holds(what: () => boolean | Promise<boolean>, failure: string, ms = 30_000): Promise<void> {
  for (const began = performance.now(); !(await what()); ) {
    if (performance.now() - began > ms) throw new Error(failure);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function loggerTo(onLog: ((entry: LogEntry) => void) | undefined): Logger {
  const level = process.env["SIGNALBOX_TEST_LOG"];
  if (onLog === undefined) return pino({ level: level ?? "silent" });
  return pino(
    { level: "info" },
    {
      write: (line: string) => {
        if (level !== undefined) process.stderr.write(line);
        onLog(JSON.parse(line) as LogEntry);
      },
    },
  );
}
