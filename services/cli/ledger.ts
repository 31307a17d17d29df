/** `ledger`: what teams, projects and agents have spent of their day, and which runs hold how much of it (GUARD-7). */
import { Option } from "commander";
import type { LedgerRow } from "../projection/index-ledgers.ts";
import type { LedgerAnswer } from "../projection/views.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { inUnit } from "./format.ts";
import { type Paint, table } from "./io.ts";
import { count } from "./read.ts";
import { visible } from "./visible.ts";

interface Options {
  readonly day?: string;
  readonly unit?: string;
  readonly limit?: number;
}

export function ledgerCommand(cli: Cli): void {
  const command = cli.program.command("ledger").argument("[account]", "as `team.support.2026-01-31`; without the day, today's (UTC)");
  command
    .description("accounts of the ledger: totals, caps, and the runs that hold of them")
    .option("--day <day>", "only windows of this day (UTC), as 2026-01-31")
    .addOption(new Option("--unit <unit>", "only accounts in this unit").choices(["cost", "requests", "amount"]))
    .option("--limit <n>", "at most so many (1 to 1000)", count);
  examples(command, "ledger", "ledger team.support", "ledger --day 2026-01-31 --unit cost --json");
  command.action(async (account: string | undefined, options: Options, self) => {
    if (account === undefined) {
      const { day, unit, limit } = options;
      const body = { ...(day && { day }), ...(unit && { unit }), ...(limit && { limit }) };
      const answer = await inSession(cli, self, "read", (session) => session.query<{ ledgers: LedgerRow[] }>("ledgers", body));
      return show(cli, self, answer, ({ ledgers }) => listText(ledgers, cli.paint));
    }
    const name = named(account, options.day);
    const answer = await inSession(cli, self, "read", (session) => session.query<LedgerAnswer>(`ledger.${name}`));
    show(cli, self, answer, (value) => accountText(value, cli.paint));
  });
}

/** An account has a journal of its own for each day. */
function named(account: string, day: string | undefined): string {
  if (!/^[A-Za-z0-9_%.-]+$/.test(account)) throw new CliError(EXIT.usage, `\`${visible(account)}\` is no account`, "as `team.support`, `agent.refund-assistant` or `project.checkout`; `signalbox ledger` lists them");
  return /\.\d{4}-\d{2}-\d{2}$/.test(account) ? account : `${account}.${day ?? new Date().toISOString().slice(0, 10)}`;
}

function listText(ledgers: readonly LedgerRow[], paint: Paint): string {
  if (ledgers.length === 0) return "nothing was leased of any account";
  const rows = ledgers.map((one) => [one.ledger, one.unit, one.window, ...sums(one), one.refusals, one.updated_at]);
  return table(["ACCOUNT", "UNIT", "WINDOW", "HELD AND SPENT", "CAP", "LEFT", "REFUSED", "UPDATED"], rows, paint);
}

function accountText({ ledger, windows, holders }: LedgerAnswer, paint: Paint): string {
  const rows = windows.map((one) => [one.unit, one.window, ...sums(one), one.refusals, one.updated_at]);
  const parts = [paint.bold(visible(ledger)), table(["UNIT", "WINDOW", "HELD AND SPENT", "CAP", "LEFT", "REFUSED", "UPDATED"], rows, paint)];
  if (holders.length > 0) {
    const held = holders.map((one) => [one.run, one.unit, inUnit(one.granted, one.unit), inUnit(one.unused, one.unit), inUnit(one.granted - one.unused, one.unit), one.done === 1 ? "spent" : "held"]);
    parts.push("", table(["RUN", "UNIT", "LEASED", "GIVEN BACK", "LEFT OF IT", ""], held, paint));
  }
  return parts.join("\n");
}

function sums({ total, cap, unit }: LedgerRow): string[] {
  return [inUnit(total, unit), cap === null ? "none" : inUnit(cap, unit), cap === null ? "" : inUnit(Math.max(0, cap - total), unit)];
}
