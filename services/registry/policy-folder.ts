/**
 * A policy set as people keep it: a folder with `.cedar` files, and beside them what they were written against
 * (`schema.cedarschema`), what is expected of them (`*.fixtures.yaml`) and what else the set decides (`set.yaml`).
 */
import { type Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type Fault } from "../../schemas/fault.ts";
import { fixtureFileNameSchema, policyFileNameSchema, type PolicySettings, policySettingsSchema, policySetNameSchema } from "../../schemas/policy.ts";
import { findings } from "./explain.ts";
import { type StoredDocument } from "./kinds.ts";
import { placed, stored } from "./parse.ts";
import { fileFault, readText } from "./text-file.ts";
import { MAX_DOCUMENT_BYTES, readYaml } from "./yaml.ts";

export const SCHEMA_FILE = "schema.cedarschema";
export const SETTINGS_FILE = /^set\.ya?ml$/;
export const FIXTURE_FILE = /\.fixtures\.ya?ml$/;

/** Whether a file of a policy folder belongs to the set, and is no document of its own. */
export function belongsToSet(name: string): boolean {
  return name.endsWith(".cedar") || name.endsWith(".cedarschema") || SETTINGS_FILE.test(name) || FIXTURE_FILE.test(name);
}

/** Reads one set. What its policies and fixtures mean is the business of `services/policy`. Adds every fault, with its place. */
export async function readPolicyFolder(folder: string, faults: Fault[]): Promise<StoredDocument | undefined> {
  const name = basename(resolve(folder));
  const before = faults.length;
  const set = policySetNameSchema.safeParse(name);
  if (!set.success) faults.push(fileFault(folder, "policy.name", set.error.issues[0]?.message ?? "", "rename the folder"));
  const found: Found = { files: {}, fixtures: {}, schema: undefined, settings: undefined, bytes: 0 };
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isFile() && belongsToSet(entry.name)) await take(found, folder, entry, faults);
  }
  if (found.bytes > MAX_DOCUMENT_BYTES) {
    faults.push(fileFault(folder, "document.too_large", `the set has ${found.bytes} bytes, and ${MAX_DOCUMENT_BYTES} are the limit`));
  }
  if (faults.length > before) return undefined;
  const { files, fixtures, schema, settings } = found;
  return stored({
    kind: "policy",
    name,
    value: {
      name,
      files,
      ...(schema !== undefined && { schema }),
      ...(Object.keys(fixtures).length > 0 && { fixtures }),
      ...(settings !== undefined && { settings }),
    },
  });
}

interface Found {
  readonly files: Record<string, string>;
  readonly fixtures: Record<string, string>;
  schema: string | undefined;
  settings: PolicySettings | undefined;
  bytes: number;
}

async function take(found: Found, folder: string, { name }: Dirent, faults: Fault[]): Promise<void> {
  const path = join(folder, name);
  const text = await readText(path, faults);
  if (text !== undefined) found.bytes += Buffer.byteLength(text);
  if (name.endsWith(".cedarschema")) {
    if (name !== SCHEMA_FILE) faults.push(fileFault(path, "policy.name", `the schema of a set is named \`${SCHEMA_FILE}\``));
    else found.schema = text;
    return;
  }
  if (SETTINGS_FILE.test(name)) {
    if (found.settings !== undefined) faults.push(fileFault(path, "document.twice", "the set has two files of settings", "keep `set.yaml`"));
    if (text !== undefined) found.settings = settingsOf(text, path, faults);
    return;
  }
  const fixture = FIXTURE_FILE.test(name);
  const named = (fixture ? fixtureFileNameSchema : policyFileNameSchema).safeParse(name);
  if (!named.success) faults.push(fileFault(path, "policy.name", named.error.issues[0]?.message ?? ""));
  if (text !== undefined) (fixture ? found.fixtures : found.files)[name] = text;
}

function settingsOf(text: string, path: string, faults: Fault[]): PolicySettings | undefined {
  const yaml = readYaml(text, path);
  faults.push(...yaml.faults);
  const [source, ...more] = yaml.documents;
  if (source === undefined || more.length > 0) {
    // a file of nothing but comments settles nothing
    if (more.length > 0) faults.push(fileFault(path, "document.count", `expected one document, found ${more.length + 1}`));
    return undefined;
  }
  const parsed = policySettingsSchema.safeParse(source.value);
  if (parsed.success) return parsed.data;
  faults.push(...findings(policySettingsSchema, source.value, parsed.error).map((finding) => placed(finding, source, path)));
  return undefined;
}
