/** A field of a tool's input or output that is about a person, and the field that says which person (law 10). */
import { z } from "zod";
import { fieldPatternSchema } from "./field.ts";

export const personalSchema = z.strictObject({ path: fieldPatternSchema, subject: fieldPatternSchema });
