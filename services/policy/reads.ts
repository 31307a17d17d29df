/**
 * What a policy set can read of a request. Most of the engine's time goes into taking a request over, attribute by
 * attribute; what no policy names cannot change the answer, so it is not sent, and the schema that the rest is
 * validated against does not have it.
 */
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";

/** Names of attributes, wherever in context, run, agent or tool they stand. Undefined: everything. */
export type Reads = ReadonlySet<string> | undefined;

interface RecordType {
  readonly type: "Record";
  attributes: Record<string, { readonly name?: string }>;
}
/** The part of a schema's JSON form that is looked at. */
interface SchemaShape {
  readonly commonTypes: Record<string, { readonly type: string }>;
  readonly entityTypes: Record<string, { readonly shape?: { readonly type: string } }>;
}

const isRecord = (type: { readonly type: string } | undefined): type is RecordType => type?.type === "Record";

/** A record that is used as a whole, as in `context.run == …`, may show anything in it. */
class ReadWhole extends Error {}

/** The names that these policies (in the engine's JSON form) read; undefined when that cannot be told. */
export function readsOf(policies: Iterable<Cedar.PolicyJson>, schema: Cedar.SchemaJson<string>): Reads {
  const { commonTypes } = shapeOf(schema);
  const records = new Set<string>();
  for (const type of Object.values(commonTypes)) {
    if (!isRecord(type)) continue;
    for (const [name, of] of Object.entries(type.attributes)) if (isRecord(commonTypes[of.name ?? ""]) || isRecord(of as never)) records.add(name);
  }
  const reads = new Set<string>();
  try {
    for (const { conditions } of policies) for (const { body } of conditions) walk(body, false, records, reads);
    return reads;
  } catch (error) {
    if (error instanceof ReadWhole) return undefined;
    throw error;
  }
}

/** @param accessed an attribute of this expression is asked for, and nothing else */
function walk(node: unknown, accessed: boolean, records: ReadonlySet<string>, reads: Set<string>): void {
  if (typeof node !== "object" || node === null) return;
  if (Array.isArray(node)) {
    for (const item of node) walk(item, false, records, reads);
    return;
  }
  for (const [operator, operand] of Object.entries(node) as [string, unknown][]) {
    if (operator === "Var" && operand === "context" && !accessed) throw new ReadWhole();
    if (operator !== "." && operator !== "has") {
      walk(operand, false, records, reads);
      continue;
    }
    const { left, attr } = operand as { readonly left?: unknown; readonly attr?: unknown };
    // `context has principal.subject` names a way of several steps
    const names: unknown[] = Array.isArray(attr) ? attr : [attr];
    if (left === undefined || !names.every((name) => typeof name === "string")) throw new ReadWhole();
    if (operator === "." && names.some((name) => records.has(name)) && !accessed) throw new ReadWhole();
    for (const name of names) reads.add(name);
    walk(left, true, records, reads);
  }
}

/** The schema without the attributes that nobody reads. */
export function reducedSchema(schema: Cedar.SchemaJson<string>, reads: Reads): Cedar.SchemaJson<string> {
  const reduced = structuredClone(schema);
  if (reads === undefined) return reduced;
  const { commonTypes, entityTypes } = shapeOf(reduced);
  for (const type of [...Object.values(commonTypes), ...Object.values(entityTypes).map(({ shape }) => shape)]) {
    if (isRecord(type)) type.attributes = kept(type.attributes, reads);
  }
  return reduced;
}

export type Request = Pick<Cedar.StatefulAuthorizationCall, "context" | "entities">;

/** Context and entities without the attributes that nobody reads. */
export function reducedRequest<R extends Request>(request: R, reads: Reads): R {
  if (reads === undefined) return request;
  const context = kept(request.context, reads);
  for (const [name, value] of Object.entries(context)) if (isPlain(value)) context[name] = kept(value, reads);
  return { ...request, context, entities: request.entities.map((entity) => ({ ...entity, attrs: kept(entity.attrs, reads) })) };
}

/** A record, and not an extension value or a reference to an entity, which are written as objects too. */
function isPlain(value: Cedar.CedarValueJson): value is Record<string, Cedar.CedarValueJson> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !("__extn" in value) && !("__entity" in value);
}

function kept<T>(all: Readonly<Record<string, T>>, reads: ReadonlySet<string>): Record<string, T> {
  const some: Record<string, T> = {};
  for (const name in all) if (reads.has(name)) some[name] = all[name] as T;
  return some;
}

function shapeOf(schema: Cedar.SchemaJson<string>): SchemaShape {
  return schema[""] as unknown as SchemaShape;
}
