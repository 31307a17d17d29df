/** `token`: a principal's token of the demo issuer. `keys`: what tools check their tokens with. Both need the data folder and no server. */
import { runIdSchema, startingAgent } from "../../schemas/ids.ts";
import { DEMO_AUDIENCE, DEMO_ISS, DEMO_MAX_AGE, issuePrincipalToken, openIssuerKey } from "../identity/demo-issuer.ts";
import { openToolKey, toolJwks } from "../identity/tool-keys.ts";
import { type Cli, examples } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { json, line } from "./io.ts";
import { keysOfPlane } from "./plane-keys.ts";
import { dataFolder } from "./plane.ts";
import { count } from "./read.ts";
import { visible } from "./visible.ts";

interface TokenOptions {
  readonly agent: string;
  readonly run: string;
  readonly subject: string;
  readonly ttl: number;
}

export function tokenCommands(cli: Cli): void {
  const token = cli.program.command("token").description("a principal's token by the demo issuer, for one run");
  token
    .requiredOption("--agent <agent>", "the agent that acts")
    .requiredOption("--run <run>", "the run that it starts, as `refund-assistant_42`")
    .requiredOption("--subject <subject>", "on whose behalf")
    .option("--ttl <seconds>", "it ends after so long", count, 3600);
  examples(token, "token --agent refund-assistant --run refund-assistant_42 --subject kim", "export TOKEN=$(signalbox token --agent a --run a_1 --subject kim --ttl 60)");
  token.action(async ({ agent, run, subject, ttl }: TokenOptions) => {
    const parsed = runIdSchema.safeParse(run);
    if (!parsed.success) throw new CliError(EXIT.usage, `\`${visible(run)}\` is no run`, parsed.error.issues[0]?.message);
    if (startingAgent(parsed.data) !== agent) throw new CliError(EXIT.usage, `the agent \`${visible(agent)}\` starts no run \`${run}\``, `a run is named after the agent that starts it, as \`${visible(agent)}_42\``);
    if (ttl > DEMO_MAX_AGE) throw new CliError(EXIT.usage, "the demo issuer's tokens end after a day at the latest", `give at most --ttl ${DEMO_MAX_AGE}`);
    const dataDir = dataFolder(cli.io.env);
    await keysOfPlane(dataDir);
    const claims = { iss: DEMO_ISS, aud: DEMO_AUDIENCE, sub: subject, agent, run, ttlSeconds: ttl };
    line(cli.io.stdout, issuePrincipalToken(await openIssuerKey(dataDir), claims));
  });

  const keys = cli.program.command("keys").description("the public key that tools check the plane's tokens with (JWKS)");
  examples(keys, "keys", "signalbox keys > tool-tokens.jwks.json");
  keys.action(async () => {
    const dataDir = dataFolder(cli.io.env);
    await keysOfPlane(dataDir);
    json(cli.io.stdout, toolJwks(await openToolKey(dataDir)));
  });
}
