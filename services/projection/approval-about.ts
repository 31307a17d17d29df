/** What a request for approval is about in a few words, out of the text that approvers are shown: lists show no more. */

/** What tells one request from another before anybody has read it: from the text that approvers are shown. */
export interface ApprovalAbout {
  readonly agent?: string;
  readonly effect?: string;
  readonly tainted?: boolean;
  readonly labels?: readonly string[];
  readonly risk?: number;
  readonly amount?: string;
  /** The action that somebody edited. */
  readonly edited_from?: string;
}

/** Of a text that is no request's: nothing. */
export function shown(view: string): { readonly tool: string; readonly about: ApprovalAbout } {
  let text: Record<string, unknown>;
  try {
    const parsed: unknown = JSON.parse(view);
    if (typeof parsed !== "object" || parsed === null) return { tool: "", about: {} };
    text = parsed as Record<string, unknown>;
  } catch {
    return { tool: "", about: {} };
  }
  const { tool } = (text["action_document"] ?? {}) as { tool?: unknown };
  const { name } = (text["agent"] ?? {}) as { name?: unknown };
  const { tainted, labels } = (text["marks"] ?? text) as { tainted?: unknown; labels?: unknown };
  const { from } = (text["edited"] ?? {}) as { from?: unknown };
  const { effect, risk } = text;
  const amount = amountText(text["amount"]);
  return {
    tool: typeof tool === "string" ? tool : "",
    about: {
      ...(typeof name === "string" && { agent: name }),
      ...(typeof effect === "string" && { effect }),
      ...(tainted === true && { tainted }),
      ...(isWords(labels) && labels.length > 0 && { labels }),
      ...(typeof risk === "number" && { risk }),
      ...(amount !== undefined && { amount }),
      ...(typeof from === "string" && { edited_from: from }),
    },
  };
}

/** `480 USD`: the plane counts in ten-thousandths of a currency's unit. */
export function amountText(amount: unknown): string | undefined {
  const { units, currency } = (amount ?? {}) as { units?: unknown; currency?: unknown };
  if (typeof units !== "number" || typeof currency !== "string") return undefined;
  const whole = Math.trunc(units / 10_000);
  const rest = String(units % 10_000).padStart(4, "0").replace(/0{1,4}$/, "");
  return `${whole}${rest === "" ? "" : `.${rest.padEnd(2, "0")}`} ${currency}`;
}

function isWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
