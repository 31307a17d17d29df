/** The AsyncAPI document as a test uses it: references followed, messages as validators. */
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { asyncApi } from "../../schemas/asyncapi/generate.ts";

export interface Message {
  readonly name: string;
  readonly headers?: object;
  readonly payload?: object;
  readonly examples?: readonly { readonly headers?: unknown; readonly payload?: unknown }[];
}

export const document = asyncApi() as unknown as {
  readonly channels: Record<string, { address: string | null; messages: Record<string, { $ref: string }> }>;
  readonly operations: Record<string, { action: string; channel: { $ref: string }; [key: string]: unknown }>;
  readonly components: {
    readonly messages: Record<string, Message>;
    readonly parameters: Record<string, { enum?: string[]; default?: string; examples?: string[] }>;
    readonly schemas: Record<string, object>;
  };
};

const ajv = new Ajv({ strict: false, allErrors: true });
(addFormats as unknown as (ajv: Ajv) => void)(ajv);
ajv.addSchema(JSON.parse(JSON.stringify({ $id: "signalbox:///asyncapi", ...document })) as object);

/** What is wrong with a body, or with headers, of this message; empty when nothing is. */
export function faultsOf(name: string, what: "payload" | "headers", value: unknown): string[] {
  const validate = ajv.getSchema(`signalbox:///asyncapi#/components/messages/${name}/${what}`);
  if (validate === undefined) throw new Error(`the message \`${name}\` has no ${what}`);
  return validate(value) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message ?? ""} ${JSON.stringify(error.params)}`);
}

/** Every reference in the document. */
export function references(value: unknown = document): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => references(item));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => (key === "$ref" && typeof member === "string" ? [member] : references(member)));
}

/** What a local reference points to; undefined when to nothing. */
export function resolve(reference: string): unknown {
  let at: unknown = document;
  for (const part of reference.slice(2).split("/")) at = (at as Record<string, unknown> | undefined)?.[part.replaceAll("~1", "/").replaceAll("~0", "~")];
  return at;
}
