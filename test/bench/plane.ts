/** The plane in a process of its own: all services, as `npm start` starts them. */
import { logger } from "../../infra/plane.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { type RunningServices, SERVICES, startServices } from "../../services/main.ts";
import { serveParent } from "./processes.ts";

let services: RunningServices | undefined;

serveParent({
  start: async ({ url, dataDir, keyNamespaces, namespaces }: { url: string; dataDir: string; keyNamespaces: Namespace[]; namespaces: Namespace[] }) => {
    const keys = await openKeys(dataDir, keyNamespaces);
    services = await startServices({ url, keys, namespaces, roles: SERVICES, dataDir, version: "0.0.0", log: logger() });
  },
  stop: async () => services?.stop(),
});
