/** What the rest of the plane uses of the scanner. */
export { marksOf } from "./marks.ts";
export { SCAN_ENGINE, scanOutput } from "./scan.ts";
export { type FoundSecret, SECRET_REMOVED, secretFaults, secretsIn, textWithoutSecrets, withoutSecrets } from "./secrets.ts";
