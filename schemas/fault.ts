/** Something wrong with a document, and the place in the file where a person mends it. */
import { z } from "zod";
import { reasonSchema } from "./reason.ts";

export const faultSchema = reasonSchema.extend({
  /** The name under which the text was given. */
  file: z.string(),
  /** Both count from 1; a column counts UTF-16 code units, as editors do. */
  line: z.int().positive(),
  column: z.int().positive(),
  /** JSON pointer into the document as it is written; empty for the document itself. */
  path: z.string(),
});
export type Fault = z.infer<typeof faultSchema>;

/** `file:line:column: message`, as compilers print it. */
export function faultText(fault: Fault): string {
  const at = `${fault.file}:${fault.line}:${fault.column}`;
  return `${at}: ${fault.message}${fault.help === undefined ? "" : `\n  help: ${fault.help}`}`;
}
