/** Reads from apt's own configuration which Debian archive this machine uses, and which keys it trusts for it. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface Archive {
  readonly uri: string;
  /** Lines for a `.sources` paragraph: `Signed-By: …`, or none when apt's general trust applies. */
  readonly trust: readonly string[];
}

/** Archives with the section `main` whose address ends in `/debian`, each once, in apt's order. */
export function configuredArchives(folder: string = "/etc/apt"): Archive[] {
  const found = new Map<string, Archive>();
  for (const file of sourceFiles(folder)) {
    const text = read(file);
    for (const archive of file.endsWith(".sources") ? fromParagraphs(text) : fromLines(text)) {
      // Security and third-party archives carry no suite that we look for.
      if (/\/debian\/?$/.test(archive.uri) && !found.has(archive.uri)) found.set(archive.uri, archive);
    }
  }
  return [...found.values()];
}

function sourceFiles(folder: string): string[] {
  const parts = join(folder, "sources.list.d");
  let names: string[] = [];
  try {
    names = readdirSync(parts).sort();
  } catch {
    // No such folder: the one file may be all there is.
  }
  const usable = names.filter((name) => name.endsWith(".sources") || name.endsWith(".list"));
  return [join(folder, "sources.list"), ...usable.map((name) => join(parts, name))];
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The one-line form: `deb [signed-by=…] uri suite section…`. */
function fromLines(text: string): Archive[] {
  return text.split("\n").flatMap((line) => {
    const [, options = "", uri = "", sections = ""] = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+\S+\s+(.*)$/.exec(line) ?? [];
    if (uri === "" || !sections.split(/\s+/).includes("main")) return [];
    const key = /signed-by=(\S+)/i.exec(options)?.[1];
    return [{ uri, trust: key === undefined ? [] : [`Signed-By: ${key}`] }];
  });
}

/** The paragraph form. `Signed-By` may hold a whole key over several lines, which start with a blank. */
function fromParagraphs(text: string): Archive[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  return lines.join("\n").split(/\n\s*\n/).flatMap((paragraph) => {
    const fields = new Map<string, string>();
    for (const [, name = "", value = ""] of paragraph.matchAll(/^([\w-]+):[ \t]*((?:.*)(?:\n[ \t].*)*)/gm)) {
      fields.set(name.toLowerCase(), value.trimEnd());
    }
    const list = (name: string): string[] => (fields.get(name) ?? "").split(/\s+/).filter((word) => word !== "");
    if (fields.get("enabled")?.trim() === "no" || !list("types").includes("deb") || !list("components").includes("main")) return [];
    const key = fields.get("signed-by");
    return list("uris").map((uri) => ({ uri, trust: key === undefined ? [] : [`Signed-By: ${key}`] }));
  });
}
