import { z } from "zod";

/** What a body may hold once `services/bus/body.ts` has admitted it. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** Not walked again: bodies are checked for form when they are read off the wire. */
export const jsonValueSchema = z.custom<JsonValue>((value) => value !== undefined).meta({ description: "any JSON value" });
export const jsonObjectSchema = z.custom<{ [key: string]: JsonValue }>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "expected an object",
);
