/** Reads documents from files and folders, as `apply` is given them. A folder with `.cedar` files is a policy set. */
import { type Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Fault } from "../../schemas/fault.ts";
import { policyFileNameSchema, policySetNameSchema } from "../../schemas/policy.ts";
import { type StoredDocument } from "./kinds.ts";
import { parseDocuments, stored } from "./parse.ts";
import { MAX_DOCUMENT_BYTES } from "./yaml.ts";

export interface Loaded {
  /** Tools before contracts before policy sets, each by name: the order in which applying them makes sense. */
  readonly documents: readonly LoadedDocument[];
  readonly faults: readonly Fault[];
}
/** `file` is what its faults are reported against: the file, or the folder of a policy set. */
export type LoadedDocument = StoredDocument & { readonly file: string };

const DOCUMENT_FILE = /\.(ya?ml|json)$/;
const ORDER = { tool: 0, agent: 1, policy: 2 };

/**
 * Reads one file, or all `.yaml`, `.yml` and `.cedar` files below a folder (JSON only when it is named itself,
 * because policy folders hold fixtures). Never throws: what cannot be read is a fault.
 */
export async function loadPath(path: string): Promise<Loaded> {
  const out: { documents: LoadedDocument[]; faults: Fault[] } = { documents: [], faults: [] };
  try {
    const found = await stat(path);
    if (found.isDirectory()) await loadFolder(path, out);
    else if (path.endsWith(".cedar")) await loadPolicySet(dirname(resolve(path)), out, "the folder that holds it is the policy set: apply that");
    else await loadFile(path, out);
  } catch (error) {
    out.faults.push(fault(path, "file.unreadable", `cannot be read: ${error instanceof Error ? error.message : String(error)}`));
  }
  if (out.documents.length === 0 && out.faults.length === 0) {
    out.faults.push(fault(path, "file.nothing", "there is no document here", "documents are `.yaml` files and folders of `.cedar` files"));
  }
  out.documents.sort((a, b) => ORDER[a.kind] - ORDER[b.kind] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  out.faults.push(...twice(out.documents));
  return out;
}

async function loadFolder(folder: string, out: { documents: LoadedDocument[]; faults: Fault[] }): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (entries.some(isCedar)) await loadPolicySet(folder, out);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules") await loadFolder(path, out);
    else if (entry.isFile() && /\.ya?ml$/.test(entry.name)) await loadFile(path, out);
  }
}

async function loadFile(path: string, out: { documents: LoadedDocument[]; faults: Fault[] }): Promise<void> {
  if (!DOCUMENT_FILE.test(path)) {
    out.faults.push(fault(path, "file.unknown", "this is no document", "documents are `.yaml` files and folders of `.cedar` files"));
    return;
  }
  const text = await readText(path, out.faults);
  if (text === undefined) return;
  const { documents, faults } = parseDocuments(text, path);
  out.documents.push(...documents.map((document) => ({ ...document, file: path })));
  out.faults.push(...faults);
}

async function loadPolicySet(folder: string, out: { documents: LoadedDocument[]; faults: Fault[] }, refuse?: string): Promise<void> {
  const name = basename(resolve(folder));
  if (refuse !== undefined) {
    out.faults.push(fault(folder, "policy.file_alone", "a `.cedar` file alone is no policy set", refuse));
    return;
  }
  const set = policySetNameSchema.safeParse(name);
  if (!set.success) out.faults.push(fault(folder, "policy.name", set.error.issues[0]?.message ?? "", "rename the folder"));
  const files: Record<string, string> = {};
  let bytes = 0;
  let faulty = !set.success;
  for (const entry of (await readdir(folder, { withFileTypes: true })).filter(isCedar)) {
    const path = join(folder, entry.name);
    const file = policyFileNameSchema.safeParse(entry.name);
    const text = await readText(path, out.faults);
    if (!file.success) out.faults.push(fault(path, "policy.name", file.error.issues[0]?.message ?? ""));
    if (text === undefined || !file.success) faulty = true;
    else {
      files[entry.name] = text;
      bytes += Buffer.byteLength(text);
    }
  }
  if (bytes > MAX_DOCUMENT_BYTES) {
    out.faults.push(fault(folder, "document.too_large", `the set has ${bytes} bytes, and ${MAX_DOCUMENT_BYTES} are the limit`));
    faulty = true;
  }
  if (!faulty) out.documents.push({ ...stored({ kind: "policy", name, value: { name, files } }), file: folder });
}

/** The text of a file; undefined, and a fault, when it is too large or not UTF-8. The size is known before it is read. */
async function readText(path: string, faults: Fault[]): Promise<string | undefined> {
  const { size } = await stat(path);
  if (size > MAX_DOCUMENT_BYTES) {
    faults.push(fault(path, "document.too_large", `the file has ${size} bytes, and ${MAX_DOCUMENT_BYTES} are the limit`));
    return undefined;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    faults.push(fault(path, "file.encoding", "the file is not UTF-8"));
    return undefined;
  }
}

/** The same name from two files of one load: which one should rule cannot be known. */
function twice(documents: readonly LoadedDocument[]): Fault[] {
  return documents.flatMap((document, i) => {
    const before = documents[i - 1];
    if (before?.kind !== document.kind || before.name !== document.name) return [];
    return [fault(document.file, "document.twice", `the ${document.kind} \`${document.name}\` also stands in \`${before.file}\``)];
  });
}

function isCedar(entry: Dirent): boolean {
  return entry.isFile() && entry.name.endsWith(".cedar");
}

function fault(file: string, code: string, message: string, help?: string): Fault {
  return { file, line: 1, column: 1, path: "", code, message, ...(help === undefined ? {} : { help }) };
}
