/** Runs dependency-cruiser over a checkout and returns what it saw: an empty report of an empty graph proves nothing. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CODE } from "./lint.ts";

export interface Violation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export interface BoundariesResult {
  readonly violations: readonly Violation[];
  /** Files, and the packages that they use. */
  readonly modules: number;
  readonly dependencies: number;
}

interface Report {
  readonly summary: {
    readonly totalCruised: number;
    readonly totalDependenciesCruised?: number;
    readonly violations: readonly { readonly rule: { readonly name: string }; readonly from: string; readonly to: string }[];
    readonly ruleSetUsed: { readonly forbidden: readonly { readonly name: string; readonly comment: string }[] };
  };
}

const CONFIG = join(import.meta.dirname, "boundaries.cjs");
const PROGRAM = join(import.meta.dirname, "..", "..", "node_modules", "dependency-cruiser", "bin", "dependency-cruiser.mjs");

/** @param root a folder with a tsconfig.json, a package.json and node_modules */
export async function checkBoundaries(root: string): Promise<BoundariesResult> {
  const folders = CODE.filter((folder) => existsSync(join(root, folder)));
  const { summary } = await cruise(root, [PROGRAM, "--config", CONFIG, "--output-type", "json", ...folders]);
  const reasons = new Map(summary.ruleSetUsed.forbidden.map(({ name, comment }) => [name, comment]));
  return {
    violations: summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to, reason: reasons.get(rule.name) ?? "" })),
    modules: summary.totalCruised,
    dependencies: summary.totalDependenciesCruised ?? 0,
  };
}

/** It ends with an error code when it finds something: what counts is whether it wrote its report. */
function cruise(root: string, args: readonly string[]): Promise<Report> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: root, maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Report);
      } catch {
        reject(new Error(`dependency-cruiser gave no report: ${stderr.trim() || stdout.trim()}`, { cause: error }));
      }
    });
  });
}
