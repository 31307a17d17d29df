/**
 * `npm run pack:client`: makes the client a package of plain JavaScript with declarations in `.build/client`, and a
 * tarball beside it, whose path is printed. Node strips types only outside `node_modules`, so what is published must
 * be compiled; in this tree nothing is.
 */
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "..");
/** Every package that a compiled file imports; versions are those of this tree. */
const DEPENDENCIES = ["@msgpack/msgpack", "nats", "zod"] as const;

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** Compiles and packs into `out`, which is emptied first. Returns the tarball's path. @throws Error with the compiler's findings */
export async function packClient(out: string): Promise<string> {
  const folder = join(out, "package");
  await rm(out, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const root = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as Manifest;
  const manifest = {
    name: "signalbox-client",
    version: root.version,
    description: "Client of Signalbox for agents, tools, approvers and subscribers.",
    license: root.license,
    type: "module",
    engines: { node: ">=22" },
    exports: { ".": { types: "./services/client/index.d.ts", default: "./services/client/index.js" } },
    files: ["services", "schemas"],
    dependencies: Object.fromEntries(DEPENDENCIES.map((name) => [name, root.dependencies[name]])),
  };
  await writeFile(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  const project = join(out, "tsconfig.json");
  await writeFile(
    project,
    JSON.stringify({
      extends: join(ROOT, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        // Declarations of the platform are found from the tree, wherever the output lies.
        typeRoots: [join(ROOT, "node_modules", "@types")],
        rewriteRelativeImportExtensions: true,
        rootDir: ROOT,
        outDir: folder,
      },
      include: [],
      files: [join(ROOT, "services", "client", "index.ts")],
    }),
  );
  const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  run(process.execPath, [compiler, "-p", project]);
  if (existsSync(join(ROOT, "LICENSE"))) await copyFile(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  const packed = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", out], folder)) as { filename: string }[];
  return join(out, packed[0]?.filename ?? "");
}

function run(command: string, args: readonly string[], cwd: string = ROOT): string {
  try {
    return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { stdout?: string; stderr?: string };
    throw new Error(`\`${command} ${args[0] ?? ""}\` failed: ${(stdout + stderr).trim()}`, { cause });
  }
}

if (import.meta.main) console.log(await packClient(join(ROOT, ".build", "client")));
