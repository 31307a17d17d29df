/** The claims of the token that a tool is called with: for exactly one attempt of one action (ID-4). A JWT, EdDSA over Ed25519. */
import { z } from "zod";
import { actionIdSchema, digestSchema, runIdSchema, toolNameSchema } from "./ids.ts";

export const toolTokenSchema = z.strictObject({
  /** `signalbox:<namespace>`. */
  iss: z.string(),
  /** `tool:<name>`; `probe:<name>` for a question about a call, which opens no call. */
  aud: z.string(),
  /** On whose behalf: `<issuer>|<subject>`, or `agent:<name>` when nobody was named. */
  sub: z.string(),
  /** Unique: a tool refuses the second use. */
  jti: z.string(),
  iat: z.int(),
  exp: z.int(),
  ns: z.string(),
  run: runIdSchema,
  action: actionIdSchema,
  attempt: z.int().min(1),
  tool: toolNameSchema,
  /** SHA-256 of the call's body. */
  input: digestSchema,
  /** Digest of the action document. */
  digest: digestSchema,
});
export type ToolToken = z.infer<typeof toolTokenSchema>;
