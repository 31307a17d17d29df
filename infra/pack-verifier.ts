/** `npm run pack:verifier`: writes the page that verifies and replays exports to `.build/verifier.html`, and prints its path. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { verifierPage } from "./verifier/build.ts";

const out = join(import.meta.dirname, "..", ".build");
await mkdir(out, { recursive: true });
const path = join(out, "verifier.html");
await writeFile(path, await verifierPage());
console.log(path);
