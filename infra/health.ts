/**
 * Health of a process over HTTP, for whoever starts and replaces processes. `/livez`: the process answers, and so does
 * each of its threads; one that does not is worth a restart. `/readyz`: every role can do its work now; one that cannot
 * is worth waiting for, and no restart mends it.
 */
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { RoleReadiness } from "../services/telemetry/readiness.ts";

export interface HealthAddress {
  /** `127.0.0.1`, or `0.0.0.0` in a pod, whose probes come from outside. */
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
}

/** Whom the endpoint asks. */
export interface Watched {
  /** Names of threads that did not answer in time. */
  stuck(timeoutMs: number): Promise<readonly string[]>;
  roles(timeoutMs: number): Promise<readonly RoleReadiness[]>;
}

export interface RunningHealth {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  /** From now on answers come from there; before, nothing is ready. */
  watch(watched: Watched): void;
  /** Not ready any more, whatever the roles say. */
  stopping(): void;
  close(): Promise<void>;
}

/** Probes of an orchestrator give up after a few seconds; an answer that names what is wrong has to be earlier. */
const LOOK_MS = 2_000;

/** @throws the system's error, when the address is in use */
export async function startHealth({ host, port }: HealthAddress): Promise<RunningHealth> {
  let watched: Watched | undefined;
  let stopping = false;
  let looking: Promise<Answer> | undefined;
  const ready = async (): Promise<Answer> => {
    if (watched === undefined) return { status: 503, body: { ready: false, why: "being set up", roles: [] } };
    const roles = await watched.roles(LOOK_MS);
    const all = !stopping && roles.length > 0 && roles.every((role) => role.ready);
    return { status: all ? 200 : 503, body: { ready: all, ...(stopping && { why: "stopping" }), roles } };
  };
  const live = async (): Promise<Answer> => {
    const stuck = (await watched?.stuck(LOOK_MS)) ?? [];
    return { status: stuck.length === 0 ? 200 : 503, body: { live: stuck.length === 0, stuck } };
  };
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0];
    // many may ask at once, and one look is enough for all of them
    const answer = path === "/livez" ? live() : path === "/readyz" ? (looking ??= ready().finally(() => (looking = undefined))) : undefined;
    void (answer ?? Promise.resolve(NOT_FOUND)).then(
      ({ status, body }) => {
        response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
        response.end(request.method === "HEAD" ? undefined : `${JSON.stringify(body)}\n`);
      },
      (error: unknown) => {
        response.writeHead(500, { "content-type": "application/json" });
        response.end(`${JSON.stringify({ error: String(error) })}\n`);
      },
    );
  });
  server.keepAliveTimeout = 1_000;
  await listen(server, host, port);
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    watch: (what) => (watched = what),
    stopping: () => (stopping = true),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const NOT_FOUND: Answer = { status: 404, body: { help: "/livez and /readyz" } };

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
