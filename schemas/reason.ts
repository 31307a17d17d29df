/** Why something was refused: a value with a path, never a stack trace. Lower case, no full stop, help apart. */
import { z } from "zod";

export const reasonSchema = z.strictObject({
  /** Stable and dotted, as `tool.not_allowed`; programs branch on it. */
  code: z.string(),
  message: z.string(),
  /** JSON pointer into what was sent, where one place is at fault. */
  path: z.string().optional(),
  help: z.string().optional(),
});
export type Reason = z.infer<typeof reasonSchema>;

export function reason(code: string, message: string, more: { path?: string; help?: string } = {}): Reason {
  return { code, message, ...more };
}

/** The faults that zod found, as reasons with JSON pointers. */
export function reasonsOf(error: z.ZodError, code = "schema.invalid"): Reason[] {
  return error.issues.flatMap((issue) => {
    const at = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => reason(code, `unknown key \`${key}\``, { path: pointer([...at, key]) }));
    }
    return [reason(code, lowerFirst(issue.message), { path: pointer(at) })];
  });
}

/** RFC 6901. */
export function pointer(path: readonly string[]): string {
  return path.map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
