/**
 * The rules of the code, each with the reason that is printed beside a finding. Plain JavaScript with a default
 * export, because the linter and editors load it so: `eslint -c test/lint/eslint.config.mjs`.
 */
import tseslint from "typescript-eslint";

/** Files longer than 400 lines, each with a reason that a reader would accept. */
export const LONG_FILES = [
  // { file: "services/…/….ts", max: 450, reason: "…" },
];

/** Why a rule is there. A test checks that no rule is without. */
export const REASONS = {
  "@typescript-eslint/no-floating-promises": "a promise that nobody awaits loses its error: await it, or say `void` and handle the error",
  "@typescript-eslint/no-misused-promises": "a promise where none is expected is always true, and its error is lost",
  "@typescript-eslint/no-explicit-any": "`any` switches the checker off for all that touches it: use `unknown` and narrow it",
  "@typescript-eslint/no-unsafe-assignment": "an `any` from outside spreads silently: give it a type or check it where it comes in",
  "@typescript-eslint/no-unsafe-return": "an `any` from outside spreads silently: give it a type or check it where it comes in",
  "@typescript-eslint/switch-exhaustiveness-check": "a new kind must not fall through a switch that was complete before it",
  "@typescript-eslint/consistent-type-imports": "types are erased at run time: an import of types only must say so, or the file fails to load",
  "@typescript-eslint/only-throw-error": "what is no Error has no stack and no cause",
  "@typescript-eslint/prefer-promise-reject-errors": "what is no Error has no stack and no cause",
  "max-lines": "one idea per file; a longer file needs an entry with a reason in test/lint/eslint.config.mjs",
  "no-restricted-exports": "named exports only: a name that every importer chooses cannot be searched for",
  "no-restricted-globals": "machines are pure: time, chance and effects are arguments and data, or replay is not exact",
  "no-restricted-properties": "machines are pure: time, chance and effects are arguments and data, or replay is not exact",
  "no-restricted-imports": "machines are pure: what reads a clock, a file or the network cannot be replayed",
  "no-restricted-syntax": "machines are pure: what is loaded at run time cannot be replayed",
};

const PURE = (name, instead) => ({ name, message: `machines are pure: ${instead}` });

export default tseslint.config(
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.base],
    // An exception that is no longer one is taken out: `syntax` findings say where.
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: process.cwd() } },
    rules: {
      // node:test itself waits for the tests that it is given.
      "@typescript-eslint/no-floating-promises": [
        "error",
        { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test", "it", "describe", "suite", "before", "after", "beforeEach", "afterEach"] }] },
      ],
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: false }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unsafe-assignment": "error",
      "@typescript-eslint/no-unsafe-return": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports", disallowTypeAnnotations: false }],
      "@typescript-eslint/only-throw-error": "error",
      "@typescript-eslint/prefer-promise-reject-errors": "error",
      "max-lines": ["error", { max: 400 }],
      "no-restricted-exports": ["error", { restrictDefaultExports: { direct: true, named: true, defaultFrom: true, namedFrom: true, namespaceFrom: true } }],
    },
  },
  {
    files: ["machines/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        PURE("Date", "`at` is an argument"),
        PURE("performance", "`at` is an argument"),
        PURE("setTimeout", "a delay is an effect, given out as data"),
        PURE("setInterval", "a delay is an effect, given out as data"),
        PURE("setImmediate", "a delay is an effect, given out as data"),
        PURE("queueMicrotask", "a delay is an effect, given out as data"),
        PURE("process", "the environment is no input"),
        PURE("crypto", "ids come from run and sequence"),
        PURE("fetch", "an effect leaves as data"),
        PURE("console", "an effect leaves as data"),
        PURE("globalThis", "it is a way round these rules"),
      ],
      "no-restricted-properties": ["error", { object: "Math", property: "random", message: "machines are pure: ids come from run and sequence" }],
      "no-restricted-imports": ["error", { patterns: [{ regex: "^(node:.*|fs|net|http|https|crypto|os|timers|child_process)(/|$)", message: "machines are pure: they import XState and schemas" }] }],
      "no-restricted-syntax": ["error", { selector: "ImportExpression", message: "machines are pure: all that they use is imported at the top" }],
    },
  },
  ...LONG_FILES.map(({ file, max }) => ({ files: [file], rules: { "max-lines": ["error", { max }] } })),
);
