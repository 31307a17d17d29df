/** The keys in a data folder, for commands that sign with them: without a plane there is nothing to sign for. */
import { knownNamespaces, openKeys, type PlaneKeys } from "../identity/keys.ts";
import { CliError, EXIT } from "./exit.ts";

/** The keys of all namespaces that the folder has. @throws CliError when it has none */
export async function keysOfPlane(dataDir: string): Promise<PlaneKeys> {
  const namespaces = await knownNamespaces(dataDir);
  if (namespaces.length === 0) {
    throw new CliError(EXIT.usage, `there is no plane in \`${dataDir}\``, "credentials are signed with its keys: run `npm start` once, or set SIGNALBOX_DATA");
  }
  return openKeys(dataDir, namespaces);
}
