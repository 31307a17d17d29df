/**
 * The part of the `nats` command that the README uses, on the client library alone: what a context says is all that
 * it knows. The command itself is not on every machine; its flags were read from its source.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, credsAuthenticator, headers } from "nats";

/** Of the command, and of `req`. Each takes a value. */
const FLAGS = new Set(["--context", "--timeout", "-H", "--header"]);
/** Its own, when `--timeout` says nothing. */
const PATIENCE_MS = 5_000;

/** @throws Error for what the command would not understand */
export async function natsCommand(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<unknown> {
  const flags: [string, string][] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (!word.startsWith("-")) rest.push(word);
    else if (FLAGS.has(word)) flags.push([word, args[++i] ?? ""]);
    else throw new Error(`\`nats\` has no flag \`${word}\` that this test knows`);
  }
  const [verb, subject, body, ...more] = rest;
  if (verb !== "req" || subject === undefined || body === undefined || more.length > 0) throw new Error(`not a request: ${rest.join(" ")}`);
  // the command fills in templates
  if (body.includes("{{")) throw new Error("the body would be taken for a template");
  const name = flags.find(([flag]) => flag === "--context")?.[1] ?? "";
  const file = join(env["XDG_CONFIG_HOME"] ?? "", "nats", "context", `${name}.json`);
  const context = JSON.parse(await readFile(file, "utf8")) as { url: string; creds: string; inbox_prefix: string };

  const nc = await connect({ servers: context.url, authenticator: credsAuthenticator(await readFile(context.creds)), inboxPrefix: context.inbox_prefix });
  try {
    const sent = headers();
    for (const [flag, value] of flags) {
      const at = value.indexOf(":");
      if (flag === "-H" || flag === "--header") sent.set(value.slice(0, at), value.slice(at + 1));
    }
    const answer = await nc.request(subject, body, { headers: sent, timeout: PATIENCE_MS });
    return answer.json();
  } finally {
    await nc.close();
  }
}
