/** Reads documents from files and folders, as `apply` is given them. A folder with `.cedar` files is a policy set. */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Fault } from "../../schemas/fault.ts";
import { inOrder } from "./kinds.ts";
import { parseDocuments, type WrittenDocument } from "./parse.ts";
import { belongsToSet, readPolicyFolder } from "./policy-folder.ts";
import { fileFault, readText } from "./text-file.ts";

export interface Loaded {
  /** In the order in which they are put in force: what is referred to before what refers to it, each kind by name. */
  readonly documents: readonly LoadedDocument[];
  readonly faults: readonly Fault[];
}
/** `file` is what its faults are reported against: the file, or the folder of a policy set. */
export type LoadedDocument = WrittenDocument & { readonly file: string };
const FIRST = { line: 1, column: 1 };

const DOCUMENT_FILE = /\.(ya?ml|json)$/;
const WHAT = "documents are `.yaml` files and folders of `.cedar` files";

/** Reads several files and folders as one load. Never throws: what cannot be read is a fault. */
export async function loadPaths(paths: readonly string[]): Promise<Loaded> {
  const out: { documents: LoadedDocument[]; faults: Fault[] } = { documents: [], faults: [] };
  for (const path of paths) {
    const before = out.documents.length + out.faults.length;
    await loadInto(path, out);
    if (out.documents.length + out.faults.length === before) out.faults.push(fileFault(path, "file.nothing", "there is no document here", WHAT));
  }
  out.documents.sort(inOrder);
  out.faults.push(...twice(out.documents));
  return out;
}

/**
 * Reads one file, or all `.yaml`, `.yml` and `.cedar` files below a folder (JSON only when it is named itself,
 * because folders hold other JSON). Never throws: what cannot be read is a fault.
 */
export function loadPath(path: string): Promise<Loaded> {
  return loadPaths([path]);
}

async function loadInto(path: string, out: { documents: LoadedDocument[]; faults: Fault[] }): Promise<void> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) await loadFolder(path, out);
    else await loadFile(path, out);
  } catch (error) {
    out.faults.push(fileFault(path, "file.unreadable", `cannot be read: ${error instanceof Error ? error.message : String(error)}`));
  }
}

async function loadFolder(folder: string, out: { documents: LoadedDocument[]; faults: Fault[] }): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const isSet = entries.some((entry) => entry.isFile() && entry.name.endsWith(".cedar"));
  if (isSet) {
    const set = await readPolicyFolder(folder, out.faults);
    if (set !== undefined) out.documents.push({ ...set, file: folder, placeOf: () => FIRST });
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules") await loadFolder(path, out);
    else if (entry.isFile() && /\.ya?ml$/.test(entry.name) && !(isSet && belongsToSet(entry.name))) await loadFile(path, out);
  }
}

async function loadFile(path: string, out: { documents: LoadedDocument[]; faults: Fault[] }): Promise<void> {
  if (belongsToSet(basename(path))) {
    const what = path.endsWith(".cedar") ? "a `.cedar` file alone is no policy set" : `\`${basename(path)}\` belongs to a policy set, and is no document of its own`;
    out.faults.push(fileFault(path, "policy.file_alone", what, "a policy set is the folder that holds the `.cedar` files: apply that"));
    return;
  }
  if (!DOCUMENT_FILE.test(path)) {
    out.faults.push(fileFault(path, "file.unknown", "this is no document", WHAT));
    return;
  }
  const text = await readText(path, out.faults);
  if (text === undefined) return;
  const { documents, faults } = parseDocuments(text, path);
  out.documents.push(...documents.map((document) => ({ ...document, file: path })));
  out.faults.push(...faults);
}

/** The same name from two files of one load: which one should rule cannot be known. */
function twice(documents: readonly LoadedDocument[]): Fault[] {
  return documents.flatMap((document, i) => {
    const before = documents[i - 1];
    if (before?.kind !== document.kind || before.name !== document.name) return [];
    return [fileFault(document.file, "document.twice", `the ${document.kind} \`${document.name}\` also stands in \`${before.file}\``)];
  });
}
