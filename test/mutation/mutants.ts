/**
 * Every small change that the mutation tool makes to one file, all of them written into one text: which of them is in
 * force is decided by a number while it runs, so that one process tries thousands of them.
 *
 * A mutant changes an expression or empties a block. Left alone are words for people (texts with a space in them), what a
 * `throw` says, and the throw of an assertion itself: its condition is only true when something else is broken.
 */
import { stripTypeScriptTypes } from "node:module";
import ts from "typescript";

export interface Mutation {
  /** From 0, in the order of the file. */
  readonly id: number;
  /** From 1. */
  readonly line: number;
  /** The line, as it stands. */
  readonly text: string;
  readonly from: string;
  readonly to: string;
}

/** Asks whether a mutant is in force, and notes that it could have been. */
export const SWITCH = "globalThis.__mutant";

interface Change {
  readonly to: string;
  /** Where it is not the node's own text in other words: the whole, given the text with all other mutants in it. */
  readonly write?: (inner: string, on: string) => string;
}

/** @param source TypeScript with erasable types; places in it are places in the result of stripping them */
export function mutantsOf(source: string, file: string): { readonly mutations: Mutation[]; readonly code: string } {
  const plain = stripTypeScriptTypes(source, { mode: "strip" });
  const tree = ts.createSourceFile(file, plain, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS);
  const lines = source.split("\n");
  const mutations: Mutation[] = [];

  const render = (node: ts.Node): string => {
    const start = node.getStart(tree);
    const changes = isFixed(node) ? [] : changesOf(node, tree);
    const mine = changes.map(({ to }): Mutation => {
      const { line } = tree.getLineAndCharacterOfPosition(start);
      const mutation = { id: mutations.length, line: line + 1, text: (lines[line] ?? "").trim(), from: short(plain.slice(start, node.end)), to: short(to) };
      mutations.push(mutation);
      return mutation;
    });
    let inner = "";
    let at = start;
    ts.forEachChild(node, (child) => {
      const from = child.getStart(tree);
      if (from < at) return;
      inner += plain.slice(at, from) + render(child);
      at = child.end;
    });
    inner += plain.slice(at, node.end);
    changes.forEach(({ to, write }, index) => {
      const on = `${SWITCH}(${JSON.stringify(file)},${mine[index]?.id})`;
      inner = write === undefined ? `(${on}?(${to}):${inner})` : write(inner, on);
    });
    return inner;
  };
  const code = plain.slice(0, tree.getStart(tree)) + render(tree) + plain.slice(tree.end);
  return { mutations, code };
}

const short = (text: string): string => {
  const one = text.replace(/\s+/g, " ");
  return one.length > 100 ? `${one.slice(0, 97)}...` : one;
};

/** What cannot be another expression, or says nothing. */
function isFixed(node: ts.Node): boolean {
  const { parent } = node;
  if (parent === undefined) return true;
  for (let up: ts.Node | undefined = node; up !== undefined; up = up.parent) {
    if (ts.isImportDeclaration(up) || ts.isExportDeclaration(up) || ts.isThrowStatement(up)) return true;
  }
  if (ts.isPropertyAssignment(parent) && parent.name === node) return true;
  if (ts.isBindingElement(parent) && (parent.name === node || parent.propertyName === node)) return true;
  if (ts.isBinaryExpression(parent) && parent.left === node && isAssignment(parent.operatorToken.kind)) return true;
  if (ts.isTypeOfExpression(parent) || ts.isDeleteExpression(parent) || ts.isExpressionStatement(parent)) return !ts.isCallExpression(node);
  return ts.isTaggedTemplateExpression(parent);
}

const isAssignment = (kind: ts.SyntaxKind): boolean => kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;

const OPERATORS: ReadonlyMap<ts.SyntaxKind, readonly string[]> = new Map([
  [ts.SyntaxKind.EqualsEqualsEqualsToken, ["!=="]],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, ["==="]],
  [ts.SyntaxKind.EqualsEqualsToken, ["!="]],
  [ts.SyntaxKind.ExclamationEqualsToken, ["=="]],
  [ts.SyntaxKind.LessThanToken, ["<=", ">="]],
  [ts.SyntaxKind.LessThanEqualsToken, ["<", ">"]],
  [ts.SyntaxKind.GreaterThanToken, [">=", "<="]],
  [ts.SyntaxKind.GreaterThanEqualsToken, [">", "<"]],
  [ts.SyntaxKind.QuestionQuestionToken, ["&&"]],
  [ts.SyntaxKind.PlusToken, ["-"]],
  [ts.SyntaxKind.MinusToken, ["+"]],
  [ts.SyntaxKind.AsteriskToken, ["/"]],
  [ts.SyntaxKind.SlashToken, ["*"]],
  [ts.SyntaxKind.PercentToken, ["*"]],
  [ts.SyntaxKind.AsteriskAsteriskToken, ["*"]],
]);
const ASSIGNMENTS: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.PlusEqualsToken, "-="],
  [ts.SyntaxKind.MinusEqualsToken, "+="],
  [ts.SyntaxKind.QuestionQuestionEqualsToken, "="],
]);
/** Methods and what stands in their place; an empty word takes the call away. */
const METHODS: Readonly<Record<string, string>> = {
  some: "every", every: "some", min: "max", max: "min", startsWith: "endsWith", endsWith: "startsWith", filter: "", sort: "", toSorted: "", slice: "", trim: "", reverse: "", find: "findLast", findLast: "find",
};

function changesOf(node: ts.Node, tree: ts.SourceFile): Change[] {
  const text = (of: ts.Node) => of.getText(tree);
  if (ts.isBlock(node)) return blockChanges(node);
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [{ to: "false" }];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [{ to: "true" }];
  if (ts.isNumericLiteral(node)) return [{ to: `${text(node)} + 1` }];
  if (ts.isStringLiteral(node)) return node.text === "" ? [{ to: '"mutant"' }] : node.text.includes(" ") ? [] : [{ to: '""' }];
  if (ts.isArrayLiteralExpression(node)) return node.elements.length === 0 ? [] : [{ to: "[]" }];
  if (ts.isObjectLiteralExpression(node)) return node.properties.length === 0 ? [] : [{ to: "{}" }];
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) return [{ to: text(node.operand) }, ...condition(node)];
  if (ts.isBinaryExpression(node)) {
    const kind = node.operatorToken.kind;
    const assigned = ASSIGNMENTS.get(kind);
    if (assigned !== undefined) return [{ to: `${text(node.left)} ${assigned} ${text(node.right)}` }];
    const others = OPERATORS.get(kind) ?? [];
    return [...others.map((other) => ({ to: `${wrapped(text(node.left))} ${other} ${wrapped(text(node.right))}` })), ...condition(node)];
  }
  if (ts.isCallExpression(node)) return [...callChanges(node, tree), ...condition(node)];
  return ts.isExpression(node) ? condition(node) : [];
}

const wrapped = (text: string): string => `(${text})`;

const logicOf = (node: ts.Node): "&&" | "||" | undefined => {
  if (!ts.isBinaryExpression(node)) return undefined;
  const { kind } = node.operatorToken;
  return kind === ts.SyntaxKind.AmpersandAmpersandToken ? "&&" : kind === ts.SyntaxKind.BarBarToken ? "||" : undefined;
};

/**
 * What decides a way is decided otherwise. Of `a || b` each part is taken away, and the whole is made true: whoever
 * catches these catches `a && b` and a whole that is false as well; the same of `a && b` the other way round.
 */
function condition(node: ts.Node): Change[] {
  return ways(node).filter(({ to }) => to === "undefined" || logicOf(node) === undefined || to === String(logicOf(node) === "||"));
}

function ways(node: ts.Node): Change[] {
  const { parent } = node;
  if (ts.isArrowFunction(parent) && parent.body === node && !ts.isBlock(node)) return [{ to: "undefined" }];
  if (ts.isConditionalExpression(parent) && parent.condition === node) return [{ to: "true" }, { to: "false" }];
  if (ts.isIfStatement(parent) && parent.expression === node) return isAssertion(parent) ? [{ to: "true" }] : [{ to: "true" }, { to: "false" }];
  if ((ts.isWhileStatement(parent) || ts.isForStatement(parent)) && (parent as ts.WhileStatement).expression === node) return [{ to: "false" }];
  const logic = logicOf(parent);
  // of a longer chain its parts are taken away one by one
  if (logic !== undefined && logicOf(node) !== logic && !ts.isObjectLiteralExpression(node)) {
    return logic === "&&" ? [{ to: "true" }] : isAsserted(parent) ? [] : [{ to: "false" }];
  }
  return [];
}

/** Part of what only an assertion asks. */
function isAsserted(node: ts.Node): boolean {
  for (let up = node; logicOf(up) === "||"; up = up.parent) if (ts.isIfStatement(up.parent)) return isAssertion(up.parent);
  return false;
}

function isAssertion({ thenStatement, elseStatement }: ts.IfStatement): boolean {
  const only = ts.isBlock(thenStatement) && thenStatement.statements.length === 1 ? thenStatement.statements[0] : thenStatement;
  return elseStatement === undefined && only !== undefined && ts.isThrowStatement(only);
}

function callChanges(node: ts.CallExpression, tree: ts.SourceFile): Change[] {
  if (ts.isExpressionStatement(node.parent)) return node.expression.kind === ts.SyntaxKind.SuperKeyword ? [] : [{ to: "undefined" }];
  const { expression } = node;
  if (!ts.isPropertyAccessExpression(expression) || node.questionDotToken !== undefined || expression.questionDotToken !== undefined) return [];
  const other = METHODS[expression.name.text];
  if (other === undefined || !Object.hasOwn(METHODS, expression.name.text)) return [];
  const object = expression.expression.getText(tree);
  return [{ to: other === "" ? object : `${object}.${other}(${node.arguments.map((one) => one.getText(tree)).join(", ")})` }];
}

function blockChanges(node: ts.Block): Change[] {
  if (node.statements.length === 0 || node.statements.every(ts.isThrowStatement)) return [];
  // its first brace stays the function's or the statement's own
  if (ts.isFunctionLike(node.parent)) return [{ to: "{}", write: (inner, on) => `{if(${on})return;${inner.slice(1)}` }];
  const isBranch = ts.isIfStatement(node.parent) || ts.isForOfStatement(node.parent) || ts.isForStatement(node.parent) || ts.isWhileStatement(node.parent);
  return isBranch ? [{ to: "{}", write: (inner, on) => `{if(!${on})${inner}}` }] : [];
}
