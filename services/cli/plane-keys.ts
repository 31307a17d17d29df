/** The keys in a data folder, for commands that sign with them: without a plane there is nothing to sign for. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { namespace, type Namespace, namespaceSchema } from "../../schemas/ids.ts";
import { openKeys, type PlaneKeys } from "../identity/keys.ts";
import { CliError, EXIT } from "./exit.ts";

/** Namespaces that have keys in a data folder, sorted. */
export async function namespacesOf(dataDir: string): Promise<Namespace[]> {
  const files = await readdir(join(dataDir, "keys")).catch(() => []);
  const names = files.filter((file) => file.startsWith("ns_") && file.endsWith(".nk")).map((file) => file.slice(3, -3));
  return names.filter((name) => namespaceSchema.safeParse(name).success).toSorted().map(namespace);
}

/** The keys of all of them. @throws CliError when there are none */
export async function keysOfPlane(dataDir: string): Promise<PlaneKeys> {
  const namespaces = await namespacesOf(dataDir);
  if (namespaces.length === 0) {
    throw new CliError(EXIT.usage, `there is no plane in \`${dataDir}\``, "credentials are signed with its keys: run `npm start` once, or set SIGNALBOX_DATA");
  }
  return openKeys(dataDir, namespaces);
}
