/** On whose behalf `propose` speaks: a token as it was given, one made here, or a name that nobody has checked. */
import type { RunId } from "../../schemas/ids.ts";
import { DEMO_AUDIENCE, DEMO_ISS, issuePrincipalToken, openIssuerKey } from "../identity/demo-issuer.ts";
import type { Cli } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { keysOfPlane } from "./plane-keys.ts";
import { dataFolder } from "./plane.ts";
import type { Session } from "./session.ts";

/** Long enough for a person to approve what the run proposes. */
const TTL_SECONDS = 3600;
const TOKEN_VARIABLE = "SIGNALBOX_PRINCIPAL_TOKEN";

interface Wanted {
  readonly principal?: string;
  readonly token?: string;
  readonly subject?: string;
}

/** What goes into the header; undefined when nobody is named. @throws CliError */
export async function principalOf(cli: Cli, session: Session, run: RunId, { principal, token, subject }: Wanted): Promise<string | undefined> {
  const given = [principal, token, subject].filter((option) => option !== undefined);
  if (given.length > 1) throw new CliError(EXIT.usage, "`--subject`, `--token` and `--principal` are three ways to say the same", "give one of them");
  if (principal !== undefined) return principal;
  if (token !== undefined) return token === "-" ? fromEnvironment(cli) : token.trim();
  if (subject === undefined) return undefined;
  const dataDir = dataFolder(cli.io.env);
  await keysOfPlane(dataDir);
  return issuePrincipalToken(await openIssuerKey(dataDir), { iss: DEMO_ISS, aud: DEMO_AUDIENCE, sub: subject, agent: session.name, run, ttlSeconds: TTL_SECONDS });
}

/** Arguments of a command are seen by everybody on the machine; its environment is not. */
function fromEnvironment(cli: Cli): string {
  const token = cli.io.env[TOKEN_VARIABLE];
  if (token === undefined || token === "") throw new CliError(EXIT.usage, `${TOKEN_VARIABLE} is not set`, "put the token there, or give it with `--token <jwt>`");
  return token.trim();
}
