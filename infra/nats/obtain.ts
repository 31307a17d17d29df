/** Finds a nats-server, or brings one: without asking, and without touching the system. */
import { fromCache } from "./obtain/kept.ts";
import { fromDebian } from "./obtain/debian.ts";
import { fromEnvironment } from "./obtain/environment.ts";
import { fromGo } from "./obtain/go.ts";
import { fromPath } from "./obtain/path.ts";
import { fromRelease } from "./obtain/release.ts";
import { NatsServerUnavailable } from "./obtain/source.ts";
import type { Found, Source } from "./obtain/source.ts";

export { NatsServerUnavailable };

export interface ObtainOptions {
  /** Gets one line for each thing done and each source that had nothing. */
  readonly log: (line: string) => void;
}

/** Cheap and chosen by the user first, then what is verified by a pinned digest, then what others vouch for. */
const SOURCES: readonly Source[] = [fromEnvironment, fromPath, fromCache, fromRelease, fromGo, fromDebian];

/**
 * A nats-server of at least 2.12: `SIGNALBOX_NATS_SERVER`, PATH, the copy kept from last time, the project's release,
 * `go install`, a newer suite of the machine's own Debian archive; the first that has one.
 *
 * @throws NatsServerUnavailable when no source has one, or the one that `SIGNALBOX_NATS_SERVER` names does not fit
 */
export async function obtainNatsServer(options: ObtainOptions): Promise<Found> {
  const tried: string[] = [];
  for (const source of SOURCES) {
    const result = await source(options.log);
    if ("path" in result) return result;
    if (result.silent !== true) options.log(result.fault);
    tried.push(result.fault);
  }
  throw new NatsServerUnavailable(
    `no nats-server could be had: ${tried.join("; ")}`,
    "install nats-server 2.12 or newer and put it on PATH, or set SIGNALBOX_NATS_SERVER to its path, " +
      "or set NATS_URL to a server that runs already",
  );
}
