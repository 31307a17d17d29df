/** The plane in a process of its own, its services started as `npm start` starts them. */
import { type RunningThreads, startThreads } from "../../infra/threads.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { Service } from "../../services/main.ts";
import { serveParent } from "./processes.ts";

interface Start {
  readonly url: string;
  readonly dataDir: string;
  readonly keyNamespaces: readonly Namespace[];
  readonly namespaces: readonly Namespace[];
  readonly roles: readonly Service[];
}

let services: RunningThreads | undefined;

serveParent({
  start: async ({ url, dataDir, keyNamespaces, namespaces, roles }: Start) => {
    services = await startThreads({ url, dataDir, keyNamespaces, namespaces, roles, version: "0.0.0" });
  },
  /** Bytes, once what nobody needs is gone: of this thread's heap, where the coordinator is, and of the whole process. */
  memory: async () => {
    (globalThis as { gc?: () => void }).gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: heapUsed + external, rss };
  },
  stop: async () => services?.stop(),
});
