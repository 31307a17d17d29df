/** Where set-up keeps what outlives `node_modules`: Node itself, nats-server, locks. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** `$SIGNALBOX_CACHE`, else `$XDG_CACHE_HOME/signalbox`, else `~/.cache/signalbox`. Same rule: `infra/nats/cache.ts`. */
export function cacheFolder(env = process.env) {
  if (env.SIGNALBOX_CACHE) return resolve(env.SIGNALBOX_CACHE);
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "signalbox");
}
