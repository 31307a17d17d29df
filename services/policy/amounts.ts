/**
 * What a call is about in money: a field of its input and a currency, as the tool declares them, or else the field
 * that the contract limits. An amount that is not clear is no small one: whoever cannot be told apart from a large
 * amount is treated like it, and a person is asked.
 */
import type { ContractTool } from "../../schemas/contract.ts";
import { fieldAt, fieldSegments } from "../../schemas/field.ts";
import { pointer, type Reason, reason } from "../../schemas/reason.ts";
import type { Tool } from "../../schemas/tool.ts";
import { countedUnits, decimalText, MAX_COUNTED } from "./decimal.ts";

export const DEFAULT_CURRENCIES: readonly string[] = ["USD", "EUR", "GBP"];

export interface Amount {
  /** As policies read it; absent when it is not clear. Negative where the input says so. */
  readonly text?: string;
  /** Absent where the input does not say it, and where the contract alone names the field. */
  readonly currency?: string;
  /** What adds up, in ten-thousandths, rounded up; absent when there is nothing to add. */
  readonly units?: number;
  /** Tools whose amounts add up together: the tool's group, or its name. */
  readonly group: string;
  /** To whom or what, as text; absent where the tool declares none. */
  readonly target?: string;
  /** Why it is not clear: a person has to look. */
  readonly unclear: readonly Reason[];
}

/** @returns undefined when neither tool nor contract says that the call is about an amount */
export function amountOfCall(tool: Tool, entry: ContractTool, input: unknown, currencies: readonly string[] = DEFAULT_CURRENCIES): Amount | undefined {
  const declared = tool.amount;
  const limited = entry.requires_approval_above?.field;
  const field = declared?.field ?? limited;
  if (field === undefined) return undefined;
  const unclear: Reason[] = [];
  const say = (code: string, path: string, message: string, help?: string) =>
    void unclear.push(reason(code, message, { path: pointer(["input", ...fieldSegments(path)]), ...(help !== undefined && { help }) }));

  const value = fieldAt(input, field);
  // a number in quotes is no number: what it means is the tool's business, and a person can read it
  const text = typeof value === "number" ? decimalText(value) : undefined;
  const units = text === undefined ? undefined : countedUnits(text, "up");
  if (value === undefined) say("amount.missing", field, `there is no \`${field}\`, which says what the call is about`);
  else if (text === undefined) say("amount.not_a_number", field, `\`${field}\` is no number`, "write it without quotes");
  else if (units === undefined) say("amount.negative", field, `\`${field}\` is negative`);
  else if (units >= MAX_COUNTED) say("amount.too_large", field, `\`${field}\` is more than the plane adds up`);

  const currency = currencyOf(declared, input);
  if (declared !== undefined && (currency === undefined || !currencies.includes(currency))) {
    const where = typeof declared.currency === "string" ? declared.field : declared.currency.field;
    const known = `compared are ${currencies.map((name) => `\`${name}\``).join(", ")}`;
    say("amount.currency", where, currency === undefined ? `\`${where}\` names no currency` : `amounts in \`${currency}\` are not compared`, known);
  }
  if (declared !== undefined && limited !== undefined && !sameField(limited, declared.field)) {
    const message = `the contract limits \`${limited}\`, and the amount that adds up is \`${declared.field}\``;
    say("amount.other_field", limited, message, "let contract and tool name the same field");
  }
  const target = declared?.target === undefined ? undefined : targetOf(fieldAt(input, declared.target));
  if (declared?.target !== undefined && target === undefined) say("amount.target", declared.target, `\`${declared.target}\` names nobody that amounts could add up for`);

  const known = !unclear.some(({ code }) => code === "amount.currency");
  return {
    ...(text !== undefined && known && { text }),
    ...(currency !== undefined && { currency }),
    ...(units !== undefined && { units }),
    group: declared?.group ?? tool.name,
    ...(target !== undefined && { target }),
    unclear,
  };
}

function currencyOf(declared: Tool["amount"], input: unknown): string | undefined {
  if (declared === undefined || typeof declared.currency === "string") return declared?.currency as string | undefined;
  const value = fieldAt(input, declared.currency.field);
  return typeof value === "string" && /^[A-Z]{3}$/.test(value) ? value : undefined;
}

/** `5` and `"5"` are one target: which of them it was is no way to begin a new sum. */
function targetOf(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/** A dotted path and a JSON pointer may name the same field. */
function sameField(a: string, b: string): boolean {
  return pointer(fieldSegments(a)) === pointer(fieldSegments(b));
}

