/**
 * A fixture of a policy set: a request, and the decision that is expected. What a request leaves out is unremarkable:
 * a write by an agent of nobody's, on behalf of a verified principal, with nothing before it.
 */
import { z } from "zod";
import { judgementRequestSchema, roleSchema } from "./judgement.ts";

type Bare<S> = { [K in keyof S]: z.ZodOptional<S[K] extends z.ZodDefault<infer Inner extends z.ZodType> ? Inner : S[K] extends z.ZodType ? S[K] : never> };

/** The members of a schema, each left out as one likes, and none with a default: what is not said here is said elsewhere. */
function bare<S extends z.ZodRawShape>(shape: S): Bare<S> {
  const inner = (field: unknown) => (field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : (field as z.ZodType));
  return Object.fromEntries(Object.entries(shape).map(([name, field]) => [name, inner(field).optional()])) as Bare<S>;
}

const { shape } = judgementRequestSchema;
const decimal = z.union([z.number(), z.string().regex(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/)], { error: "expected a decimal as `19.99`" });

export const fixtureRequestSchema = z.strictObject({
  ...bare(shape),
  agent: z.strictObject(bare(shape.agent.shape)).optional(),
  tool: z.strictObject(bare(shape.tool.shape)).optional(),
  principal: z.strictObject(bare(shape.principal.unwrap().shape)).nullable().optional(),
  amount: decimal.optional(),
  amounts: z.strictObject({ in_run: decimal, target_day: decimal, principal_day: decimal, agent_day: decimal }).partial().optional(),
  /** A number alone is tokens of the input. */
  tokens: z.union([z.int().min(0), z.strictObject(bare(shape.tokens.unwrap().shape))]).optional(),
  run: z.strictObject(bare(shape.run.shape)).optional(),
});
export type FixtureRequest = z.infer<typeof fixtureRequestSchema>;

export const fixtureSchema = z.strictObject({
  name: z.string().trim().min(1).max(256),
  request: fixtureRequestSchema.default({}),
  decision: z.enum(["allow", "deny", "ask"]),
  /** Ids of exactly the policies that determine it. */
  policies: z.array(z.string()).optional(),
  /** Codes of reasons, or ids of policies, that are among those given. */
  reasons: z.array(z.string()).optional(),
  /** Who is asked, and how many. */
  role: roleSchema.optional(),
  count: z.int().min(1).optional(),
});
export type Fixture = z.infer<typeof fixtureSchema>;

export const fixturesSchema = z.array(fixtureSchema).max(500);
