/** A whole plane with the demo's documents, and the command line of those who sit before it. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import type { Answer } from "../../schemas/answer.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { type Box, connect } from "../../services/client/index.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import type { Role } from "../../services/identity/roles.ts";
import { type Ran, signalbox, type Terminal } from "./terminal.ts";

const DEMO = join(import.meta.dirname, "..", "..", "infra", "demo");
export const DEMO_FOLDERS = ["people", "budgets", "tools", "contracts", "policies"].map((name) => join(DEMO, name));

export interface DemoPlane {
  readonly folder: string;
  readonly plane: RunningPlane;
  cli(args: readonly string[], terminal?: Terminal): Promise<Ran>;
  /** The same, of a command that must end well; what it printed with `--json`. */
  json<T>(...args: string[]): Promise<T>;
  /** Applies documents given as values. */
  apply(...documents: object[]): Promise<void>;
  /** Starts a run, on behalf of whoever is named as the run: amounts add up per principal. */
  start(run: string, ...more: string[]): Promise<void>;
  /** Proposes as the refund assistant. */
  propose(run: string, tool: string, input: unknown, ...more: string[]): Promise<Answer & { readonly exit: number }>;
  /** The digest of what an approver of this action is shown. */
  digestOf(run: string, action: string): Promise<string>;
  /** A client with a credential of its own, closed with the plane. */
  box(role: Role, name: string, tool?: string): Promise<Box>;
  stop(): Promise<void>;
}

export async function startDemoPlane(): Promise<DemoPlane> {
  const folder = await mkdtemp(join(tmpdir(), "signalbox-demo-"));
  const env = { SIGNALBOX_DATA: folder, XDG_CONFIG_HOME: join(folder, "none") };
  const settings = readSettings([], { ...process.env, SIGNALBOX_DATA: folder, NATS_URL: "", SIGNALBOX_NATS_PORT: "", SIGNALBOX_LOG: "silent" });
  const plane = await startPlane(settings, () => undefined);
  const boxes: Box[] = [];
  let documents = 0;
  const cli: DemoPlane["cli"] = (args, terminal = {}) => signalbox(args, { env, ...terminal });
  const well = async (...args: string[]): Promise<string> => {
    const { exit, out, err } = await cli(args);
    assert.equal(exit, 0, `${args.join(" ")}: ${err}${out}`);
    return out;
  };
  const demo: DemoPlane = {
    folder,
    plane,
    cli,
    json: async <T>(...args: string[]) => JSON.parse(await well(...args, "--json")) as T,
    apply: async (...values) => {
      const paths: string[] = [];
      for (const value of values) {
        const path = join(folder, `document-${++documents}.yaml`);
        await writeFile(path, JSON.stringify(value));
        paths.push(path);
      }
      await well("apply", "--yes", ...paths);
    },
    start: async (run, ...more) => void (await well("propose", "--start", "--run", run, "--goal", "make it right", "--subject", run, ...more)),
    propose: async (run, tool, input, ...more) => {
      const { exit, out, err } = await cli(["propose", "--run", run, "--tool", tool, "--input", JSON.stringify(input), "--json", ...more]);
      assert.notEqual(out, "", err);
      return { ...(JSON.parse(out) as Answer), exit };
    },
    digestOf: async (run, action) => /digest of all this: sha256:([0-9a-f]{64})/.exec((await cli(["approve", run, action])).out)?.[1] ?? "",
    box: async (role, name, tool) => {
      const ns = plane.settings.namespaces[0] as Namespace;
      const { creds } = await issueCreds(plane.keys, { role, name, ns, ...(tool !== undefined && { tool }) });
      const box = await connect({ url: plane.url, creds, env: {} });
      boxes.push(box);
      return box;
    },
    stop: async () => {
      for (const box of boxes) await box.close();
      await plane.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await well("apply", "--yes", join(folder, "documents", "issuer.demo.yaml"), ...DEMO_FOLDERS);
  } catch (error) {
    await demo.stop();
    throw error;
  }
  return demo;
}
