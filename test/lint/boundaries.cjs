/**
 * Which folder may import which (DESIGN: imports point down), for dependency-cruiser. CommonJS, because it loads no
 * other kind of configuration by name. Every rule carries its reason as `comment`; the runner prints it.
 */

/** From the bottom up; what stands in one row may use each other, as long as no circle comes of it. */
const LAYERS = [
  ["schemas"],
  ["machines"],
  ["services/bus"],
  ["services/registry", "services/identity", "services/ledger", "services/policy"],
  ["services/projection", "services/telemetry"],
  ["services/replay"],
  ["services/gateway", "services/ask"],
  ["services/coordinator"],
  ["services/client"],
  ["services/cli", "services/console"],
  ["services/main\\.ts"],
  ["infra"],
];

const inFolders = (folders) => `^(${folders.join("|")})(/|$)`;

const upward = LAYERS.slice(0, -1).map((row, i) => ({
  name: `only-downwards-from-${row[0].replace("services/", "").replace("\\.ts", "")}`,
  severity: "error",
  comment: "imports point down the list in test/lint/boundaries.cjs: what is below must be readable and testable without what is above",
  from: { path: inFolders(row) },
  to: { path: inFolders(LAYERS.slice(i + 1).flat()) },
}));

const only = (name, comment, from, to) => ({ name, severity: "error", comment, from, to });

module.exports = {
  forbidden: [
    ...upward,
    only(
      "known-layer",
      "a new folder in services gets its place in the list first",
      { path: "^services/", pathNot: inFolders(LAYERS.flat()) },
      {},
    ),
    only(
      "nats-in-bus-only",
      "only services/bus speaks NATS: the client can be replaced in one folder. Tests may be any NATS client",
      { pathNot: "^(services/bus|test)/" },
      { path: "(^|/)node_modules/nats/|^nats$" },
    ),
    only(
      "jwt-in-identity-only",
      "only services/identity makes credentials, and checks tokens",
      { pathNot: "^(services/identity|test)/" },
      { path: "(^|/)node_modules/(@nats-io/jwt|jose)/|^(@nats-io/jwt|jose)(/|$)" },
    ),
    only(
      "pure-machines",
      "machines import XState and schemas, and nothing that reads a clock, a random number, the network or a file",
      { path: "^machines/" },
      { pathNot: "^(machines|schemas)/|(^|/)node_modules/xstate/|^xstate(/|$)" },
    ),
    only(
      "plain-schemas",
      "the wire is read by every language and service: zod, canonicalize and node:crypto, nothing else",
      { path: "^schemas/" },
      { pathNot: "^schemas/|(^|/)node_modules/(zod|canonicalize)/|^(zod|canonicalize)(/|$)|^(node:)?crypto$" },
    ),
    only(
      "nobody-imports-infra",
      "infra starts and configures; what runs must not know how it was started",
      { pathNot: "^(infra|test)/" },
      { path: "^infra/" },
    ),
    only("nobody-imports-tests", "what runs must not rest on its tests", { pathNot: "^test/" }, { path: "^test/" }),
    only("no-circles", "of two files that import each other neither can be read first", {}, { circular: true }),
    only("resolvable", "an import that leads nowhere is not checked by any other rule", {}, { couldNotResolve: true }),
    only(
      "declared-packages",
      "a package that package.json does not name is there by luck",
      {},
      { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    ),
    only(
      "no-test-packages",
      "what runs must not need what only development installs",
      { path: "^(schemas|machines|services|infra)/" },
      { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // Imports of types are imports too: they tie two folders together for whoever reads them.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default"], extensions: [".ts", ".mjs", ".js"] },
  },
};
