/** Restate on one node with its own defaults, which synchronise its log: handlers of eight steps, and XState transitions. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../harness/ports.ts";
import { FOLDER } from "./install.ts";
import { AT_A_TIME, type Rate, rateOf } from "./load.ts";

export interface RestateFigures {
  /** Handlers of eight steps a second. */
  readonly handlers: readonly Rate[];
  readonly transitions: readonly Rate[];
}

const READY_MS = 60_000;

export async function measureRestate(seconds: number): Promise<RestateFigures> {
  const data = await mkdtemp(join(tmpdir(), "signalbox-restate-"));
  const [ingress, admin, node, own] = (await Promise.all([freePort(), freePort(), freePort(), freePort()])) as [number, number, number, number];
  const children: ChildProcess[] = [];
  const base = `http://127.0.0.1:${ingress}`;
  try {
    children.push(
      // a script that starts the server proper: they end together, as one group
      spawn(join(FOLDER, "node_modules", ".bin", "restate-server"), ["--no-logo", "--base-dir", data], {
        stdio: "ignore",
        detached: true,
        env: {
          ...process.env,
          RESTATE_DISABLE_TELEMETRY: "true",
          RESTATE_LISTEN_MODE: "tcp",
          RESTATE_BIND_IP: "127.0.0.1",
          RESTATE_BIND_PORT: String(node),
          RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
          RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
        },
      }),
      spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "restate-service.ts"), String(own)], {
        stdio: "ignore",
        detached: true,
        env: { ...process.env, RESTATE_LOGGING: "ERROR" },
      }),
    );
    await answered(() => fetch(`http://127.0.0.1:${admin}/health`));
    await answered(() => post(`http://127.0.0.1:${admin}/deployments`, { uri: `http://127.0.0.1:${own}` }));
    await answered(() => fetch(`${base}/restate/health`));
    const handlers: Rate[] = [];
    const transitions: Rate[] = [];
    for (const atATime of AT_A_TIME) handlers.push(await rateOf(atATime, seconds, () => called(`${base}/steps/eight`, {})));
    for (const atATime of AT_A_TIME) {
      const keys = Array.from({ length: atATime }, (_, i) => `${atATime}-${i}`);
      for (const key of keys) await called(`${base}/light/${key}/create`, {});
      // one machine takes one event at a time, as one run takes one input
      transitions.push(await rateOf(atATime, seconds, (n) => called(`${base}/light/${keys[n % atATime] ?? ""}/send`, { event: { type: "next" } })));
    }
    return { handlers, transitions };
  } finally {
    await Promise.all(children.map(ended));
    await rm(data, { recursive: true, force: true });
  }
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

async function called(url: string, body: unknown): Promise<void> {
  const answer = await post(url, body);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${text}`);
}

async function answered(ask: () => Promise<Response>): Promise<void> {
  for (const began = performance.now(); ; ) {
    try {
      if ((await ask()).ok) return;
    } catch {
      // not up yet
    }
    if (performance.now() - began > READY_MS) throw new Error("Restate did not come up");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  await gone;
}
