/** Times as people type them. */
import { CliError, EXIT } from "./exit.ts";
import { visible } from "./visible.ts";

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `30s`, `15m`, `1h`, `2d` in seconds. @throws CliError */
export function durationSeconds(text: string): number {
  const [, count, unit = "s"] = /^([1-9][0-9]{0,8})([smhd])?$/.exec(text) ?? [];
  if (count === undefined) throw new CliError(EXIT.usage, `\`${visible(text)}\` is no length of time`, "as in `30s`, `15m`, `1h` or `2d`");
  return Number(count) * (SECONDS[unit] ?? 1);
}
