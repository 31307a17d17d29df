/** An issuer of principals' tokens (OIDC, JWT): whose signatures the plane believes, for which audience (ID-3). */
import { z } from "zod";
import { jsonObjectSchema } from "./json.ts";

/** Asymmetric ones only: with a shared secret, whoever checks a token could have made it. */
export const ALGORITHMS = ["EdDSA", "ES256", "ES384", "RS256", "PS256"] as const;

export const issuerNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "an issuer is named [a-z0-9][a-z0-9-]{0,62}");

export const issuerSchema = z.strictObject({
  issuer: z.strictObject({
    name: issuerNameSchema,
    /** The `iss` of its tokens, character by character. */
    iss: z.string().min(1).max(512),
    /** The `aud` that names this plane. */
    audience: z.string().min(1).max(512),
    algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(["EdDSA", "ES256", "RS256"]),
    /** Its public keys (RFC 7517). A changed key is a new version of this document. */
    jwks: z.strictObject({ keys: z.array(jsonObjectSchema).min(1).max(64) }),
    /** The longest that a token may live, in seconds. */
    max_age_seconds: z.int().min(1).max(86_400).default(3600),
  }),
});
export type Issuer = z.infer<typeof issuerSchema>;
