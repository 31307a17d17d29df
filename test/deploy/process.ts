/** `infra/start.ts` as a process of its own, its output and its health. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { withPatience } from "../harness/plane.ts";

const SCRIPT = join(import.meta.dirname, "../../infra/start.ts");

export interface RoleSeen {
  readonly role: string;
  readonly ns?: string;
  readonly ready: boolean;
  readonly why?: string;
}

export interface Seen {
  readonly status: number;
  readonly ready: boolean;
  readonly why?: string;
  readonly roles: readonly RoleSeen[];
}

export interface Started {
  readonly child: ChildProcess;
  /** Resolves with all output once it holds the text. */
  until(text: string): Promise<string>;
  readonly exit: Promise<number | null>;
  /** One look. */
  look(path?: "/readyz" | "/livez"): Promise<Seen>;
  /** Looks until it is so. Nobody calls when health changes: asking again is the way to know. */
  seen(fits: (seen: Seen) => boolean, what: string, ms?: number): Promise<Seen>;
}

const children = new Set<ChildProcess>();

/** For `after`. */
export async function endAll(): Promise<void> {
  await Promise.all([...children].map((child) => new Promise((resolve) => (child.once("close", resolve), child.kill("SIGKILL")))));
}

export function start(args: readonly string[], env: Readonly<Record<string, string>>): Started {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NATS_|SIGNALBOX_(?!NATS_SERVER)|OTEL_)/.test(name)));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", SCRIPT, ...args], { env: { ...clean, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  let output = "";
  let ended = false;
  const waiting = new Set<() => void>();
  const hear = (chunk: Buffer) => {
    output += chunk.toString();
    for (const wake of [...waiting]) wake();
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  void exit.then(() => {
    children.delete(child);
    // not before: what it wrote last is read by now
    ended = true;
    for (const wake of [...waiting]) wake();
  });
  const until = (text: string) =>
    withPatience(
      new Promise<string>((resolve, reject) => {
        const wake = () => {
          if (output.includes(text)) resolve(output);
          else if (ended) reject(new Error(`ended without \`${text}\`:\n${output}`));
          else return;
          waiting.delete(wake);
        };
        waiting.add(wake);
        wake();
      }),
      () => `\`${text}\` was not printed:\n${output}`,
      60_000,
    );
  const look: Started["look"] = async (path = "/readyz") => {
    const url = /health on (http:\S+)\/livez/.exec(await until("/livez"))?.[1] ?? "";
    const answer = await fetch(`${url}${path}`, { headers: { connection: "close" } }).catch((cause: unknown) => {
      throw new Error(`${url}${path} does not answer, the process ${child.exitCode ?? child.signalCode ?? "is up"}:\n${output}`, { cause });
    });
    return { status: answer.status, ...((await answer.json()) as Omit<Seen, "status">) };
  };
  const seen: Started["seen"] = async (fits, what, ms = 40_000) => {
    let last: Seen | undefined;
    const found = async () => {
      for (;;) {
        last = await look();
        if (fits(last)) return last;
        await wait(50);
      }
    };
    return withPatience(found(), () => `health is not as it should: ${what}\n${JSON.stringify(last)}\n${output}`, ms);
  };
  return { child, until, exit, look, seen };
}

export const ready = (seen: Seen): boolean => seen.status === 200 && seen.ready && seen.roles.length > 0 && seen.roles.every((role) => role.ready);
