/** Makes the verifier one HTML file: the code that verifies and replays in the plane, bundled for a page. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";

const HERE = import.meta.dirname;
/** Never used in a page (`node:crypto` is answered before); the modules that name them are there for other parts of theirs. */
const ABSENT = /^(node:.*|nats|(\.\.\/)+(registry|policy|identity|projection)\/.*)$/;

const platform: Plugin = {
  name: "platform",
  setup(context) {
    context.onResolve({ filter: /^node:crypto$/ }, () => ({ path: join(HERE, "shims", "crypto.ts") }));
    context.onResolve({ filter: ABSENT }, ({ path }) => ({ path, namespace: "absent" }));
    // CommonJS, so that any name can be imported from it
    context.onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: ABSENT_MODULE, loader: "js" }));
  },
};
const ABSENT_MODULE = `
module.exports = new Proxy(function () {}, {
  get: (_, name) => (name === "__esModule" ? false : class { constructor() { throw new Error("\`" + String(name) + "\` is not to be had in a page"); } }),
});`;

/** The bundle of one entry, for anything that has the web's globals and none of Node's. */
export async function bundle(entry: string, globalName?: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, entry)],
    bundle: true,
    write: false,
    minify: true,
    format: globalName === undefined ? "esm" : "iife",
    ...(globalName !== undefined && { globalName }),
    platform: "browser",
    target: "es2024",
    inject: [join(HERE, "shims", "buffer.ts")],
    plugins: [platform],
    charset: "utf8",
    legalComments: "none",
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
}

/** The page, whole: no other file and no connection is needed. */
export async function verifierPage(): Promise<string> {
  const [html, code] = await Promise.all([readFile(join(HERE, "page.html"), "utf8"), bundle("page.ts")]);
  // an end tag inside of a string would end the script
  return html.replace("/*code*/", () => code.replaceAll("</script", "<\\/script"));
}
