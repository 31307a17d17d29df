/**
 * Contexts of the `nats` CLI, so that `XDG_CONFIG_HOME=<data> nats --context demo-agent …` works. The inbox
 * prefix is part of it: without it no answer arrives.
 */
import { join, resolve } from "node:path";
import { writeSecret } from "./files.ts";

export interface NatsContext {
  readonly description: string;
  /** `nats://host:port`. */
  readonly url: string;
  /** Path of a `.creds` file. */
  readonly creds: string;
  readonly inboxPrefix: string;
}

/** Writes `<data>/nats/context/<name>.json`, mode 0600, and returns the path. */
export async function writeContext(dataDir: string, name: string, context: NatsContext): Promise<string> {
  const path = join(dataDir, "nats", "context", `${name}.json`);
  const file = {
    description: context.description,
    url: context.url,
    creds: resolve(context.creds),
    inbox_prefix: context.inboxPrefix,
  };
  await writeSecret(path, `${JSON.stringify(file, undefined, 2)}\n`);
  return path;
}
