/** Runs the linter and says with every finding why its rule is there. */
import { join } from "node:path";
import { ESLint } from "eslint";

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

export interface LintResult {
  readonly findings: readonly Finding[];
  /** How many files were read: none means that something else is wrong. */
  readonly files: number;
}

const CONFIG = join(import.meta.dirname, "eslint.config.mjs");

/** The folders of a checkout that hold code. */
export const CODE: readonly string[] = ["schemas", "machines", "services", "infra", "test"];

/** Lints the `.ts` files of these folders under `root`, which must be the working directory (typed rules need its tsconfig). */
export async function lint(root: string, folders: readonly string[] = CODE): Promise<LintResult> {
  const eslint = new ESLint({ cwd: root, overrideConfigFile: CONFIG, errorOnUnmatchedPattern: false });
  const results = await eslint.lintFiles([...folders]);
  const findings = results.flatMap(({ filePath, messages }) =>
    messages.map(({ line, ruleId, message }) => ({ file: filePath.slice(root.length + 1), line, rule: ruleId ?? "syntax", message })),
  );
  return { findings, files: results.length };
}

/** `file:line rule: message (reason)` */
export async function describe({ file, line, rule, message }: Finding): Promise<string> {
  const { REASONS } = await lintConfig();
  const reason = REASONS[rule];
  return `${file}:${line} ${rule}: ${message}${reason === undefined ? "" : ` (${reason})`}`;
}

interface LintConfig {
  readonly REASONS: Readonly<Record<string, string>>;
  readonly LONG_FILES: readonly { readonly file: string; readonly max: number; readonly reason: string }[];
  readonly default: readonly { readonly rules?: Readonly<Record<string, unknown>> }[];
}

export async function lintConfig(): Promise<LintConfig> {
  const path = "./eslint.config.mjs"; // not a literal: the checker has no types for it
  return (await import(path)) as LintConfig;
}
