/** Where downloaded and built servers are kept; the same rule as `infra/setup/cache.mjs`, for those who run without it. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** `$SIGNALBOX_CACHE`, else `$XDG_CACHE_HOME/signalbox`, else `~/.cache/signalbox`. Outside node_modules, so it outlives that. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const own = env["SIGNALBOX_CACHE"];
  if (own !== undefined && own !== "") return resolve(own);
  const base = env["XDG_CACHE_HOME"];
  return join(base !== undefined && base !== "" ? base : join(homedir(), ".cache"), "signalbox");
}
