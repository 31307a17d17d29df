/** The plane in a process of its own, its services started as `npm start` starts them. */
import { logger } from "../../infra/plane.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { type RunningServices, type Service, startServices } from "../../services/main.ts";
import { serveParent } from "./processes.ts";

interface Start {
  readonly url: string;
  readonly dataDir: string;
  readonly keyNamespaces: readonly Namespace[];
  readonly namespaces: readonly Namespace[];
  readonly roles: readonly Service[];
}

let services: RunningServices | undefined;

serveParent({
  start: async ({ url, dataDir, keyNamespaces, namespaces, roles }: Start) => {
    const keys = await openKeys(dataDir, keyNamespaces);
    services = await startServices({ url, keys, namespaces, roles, dataDir, version: "0.0.0", log: logger() });
  },
  stop: async () => services?.stop(),
});
