/** Text of files that people give: bounded, and UTF-8 or nothing. */
import { readFile, stat } from "node:fs/promises";
import { type Fault } from "../../schemas/fault.ts";
import { MAX_DOCUMENT_BYTES } from "./yaml.ts";

/** The text of a file; undefined, and a fault, when it is too large or not UTF-8. The size is known before it is read. */
export async function readText(path: string, faults: Fault[]): Promise<string | undefined> {
  const { size } = await stat(path);
  if (size > MAX_DOCUMENT_BYTES) {
    faults.push(fileFault(path, "document.too_large", `the file has ${size} bytes, and ${MAX_DOCUMENT_BYTES} are the limit`));
    return undefined;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    faults.push(fileFault(path, "file.encoding", "the file is not UTF-8"));
    return undefined;
  }
}

/** A fault of a file or folder as a whole. */
export function fileFault(file: string, code: string, message: string, help?: string): Fault {
  return { file, line: 1, column: 1, path: "", code, message, ...(help === undefined ? {} : { help }) };
}
