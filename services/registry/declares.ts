/** What a JSON Schema says of one field, as far as it can be followed. */
import { fieldSegments } from "../../schemas/field.ts";
import { type JsonValue } from "../../schemas/json.ts";
import { isObject } from "./kinds.ts";

const COMBINING = ["$ref", "allOf", "anyOf", "oneOf", "if", "patternProperties"];

/** Whether a schema may hold a field; what cannot be followed (references, combinations) may. */
export function declares(schema: JsonValue | undefined, path: string): boolean {
  const at = follow(schema, path);
  return at === "beyond" || (at !== undefined && at !== false);
}

/** The types that a schema gives a field; undefined when it does not say, or cannot be followed. */
export function typesAt(schema: JsonValue | undefined, path: string): string[] | undefined {
  const at = follow(schema, path);
  if (at === "beyond" || !isObject(at)) return undefined;
  const type = at["type"];
  if (typeof type === "string") return [type];
  return Array.isArray(type) ? type.map(String) : undefined;
}

function follow(schema: JsonValue | undefined, path: string): JsonValue | undefined {
  let at: JsonValue | undefined = schema;
  for (const segment of path === "" ? [] : fieldSegments(path)) {
    if (!isObject(at)) return at === true ? "beyond" : undefined;
    if (COMBINING.some((key) => key in (at as object))) return "beyond";
    const properties: JsonValue | undefined = at["properties"];
    const items: JsonValue | undefined = at["items"];
    const additional: JsonValue | undefined = at["additionalProperties"];
    if (isObject(properties) && Object.hasOwn(properties, segment)) at = properties[segment];
    else if (segment === "*" || /^\d+$/.test(segment)) at = items ?? additional ?? false;
    else at = isObject(additional) ? additional : false;
  }
  return at;
}
