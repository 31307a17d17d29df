/** Writes `schemas/asyncapi.json`: `node test/asyncapi/write.ts`. */
import { writeFile } from "node:fs/promises";
import { asyncApiText } from "../../schemas/asyncapi/generate.ts";

await writeFile(new URL("../../schemas/asyncapi.json", import.meta.url), asyncApiText());
