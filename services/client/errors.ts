/** What can go wrong for a user of the client. Each error says in `help` what to do next. */
import type { Reason } from "../../schemas/reason.ts";

/** Neither option nor environment says where the plane is, or who asks. */
export class NotConfigured extends Error {
  override readonly name = "NotConfigured";
  readonly help: string;
  constructor(what: string, option: string, variable: string) {
    super(`${what} is not known: neither the option ${option} nor ${variable} is set`);
    this.help = `set one of the two; \`npm start\` prints contexts to use`;
  }
}

/** The plane said no. Nothing was done, and `reasons` are all that it found. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly run: string;
  readonly id: string | null;
  readonly reasons: readonly Reason[];
  readonly help: string;
  constructor(run: string, id: string | null, reasons: readonly Reason[]) {
    super(reasons.map(({ code, message }) => `${message} (${code})`).join("; ") || "refused without a reason");
    this.run = run;
    this.id = id;
    this.reasons = reasons;
    this.help = reasons.find(({ help }) => help !== undefined)?.help ?? "mend what the reasons name, and send it with an id of its own";
  }
}

/** No answer came in time. What was sent may stand, and is not cancelled. */
export class Unanswered extends Error {
  override readonly name = "Unanswered";
  readonly help = "send the same again with the same `id`: it is not done twice, and the answer says how it stands";
  readonly run: string;
  readonly id: string;
  constructor(run: string, id: string, timeoutMs: number, cause?: unknown) {
    super(`no answer to \`${id}\` of run \`${run}\` within \`${timeoutMs}\` ms`, { cause });
    this.run = run;
    this.id = id;
  }
}

/** The broker forbids it to this credential. */
export class NotPermitted extends Error {
  override readonly name = "NotPermitted";
  readonly help = "log in with a credential for it: an agent proposes, a tool serves its own name, an approver decides, a subscriber listens";
  constructor(what: string, cause?: unknown) {
    super(`this credential may not ${what}`, { cause });
  }
}

/** Connected, and the part of the plane that would answer is not there. */
export class NotServed extends Error {
  override readonly name = "NotServed";
  readonly help = "start the plane with this role, as `npm start` does with all of them";
  constructor(what: string, cause?: unknown) {
    super(`nobody serves ${what} at the moment`, { cause });
  }
}

/** What came is not of the wire that this client knows. */
export class NotUnderstood extends Error {
  override readonly name = "NotUnderstood";
  readonly help = "use a client of the plane's version";
}

/**
 * Thrown by a tool's handler to say that the call failed, and what it did outside: `none`, the call may be made
 * again; `done`, it took effect; `unknown`, a person must find out. Any other exception counts as `unknown`.
 */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
  readonly code: string;
  readonly effect: "none" | "done" | "unknown";
  constructor(failure: { code: string; message: string; effect: "none" | "done" | "unknown"; cause?: unknown }) {
    super(failure.message, { cause: failure.cause });
    this.code = failure.code;
    this.effect = failure.effect;
  }
}
