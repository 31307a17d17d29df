/**
 * When are two journals of one scenario the same? When their normal forms are. The normal form of a run has one line
 * per commit, in order, with what caused it and each event's type, states and data, where
 *
 * - the run's own name is `<run>`; ids of actions, requests and digests are numbered by first appearance, so that
 *   equal ones stay equal and different ones different;
 * - times are `<time>`; the gateway and nonce of claims, and ids of reports made of them, are `<claim>`;
 *   sequences that timers name are `<seq>`; attempts are counted without those that a kill cost.
 *
 * A kill may cost the attempt that was under way, and nothing else: the claim's holder is gone, so the attempt ends by
 * the timer (or by the surviving gateway's word that nobody knows). Such a *detour* is taken out:
 *
 * - `in doubt`, then resolved by a person: the doubt is taken out, and of the resolution what the report would have said;
 * - `retrying`, dispatched, claimed anew: the lost attempt is taken out, or, where an undisturbed attempt would have
 *   been retried as well, counts as that one. The doubt outlives it: a later attempt that says it did nothing does not
 *   speak for the lost one, so the effect that its retry records may be `unknown` where it was `none`.
 *
 * Everything else must be equal, character for character.
 *
 * - What a play is called by is `<play>`, a day `<day>`, what is sealed is numbered, and totals of an account that other
 *   plays used before are counted from the first.
 */
import type { JournalEvent } from "../../services/bus/commit.ts";

interface Commit {
  readonly events: readonly JournalEvent[];
  /** Who caused it, and why, is not compared. */
  readonly loose: boolean;
}

export interface NormalForm {
  readonly lines: readonly { readonly full: string; readonly reduced: string; readonly loose: boolean }[];
}

/** Of an attempt that a kill cost: its claim, where it had one, and how it ended. */
export interface Detour {
  readonly gateway: string | undefined;
  readonly error: string;
}

const WHY_LOST: ReadonlySet<string> = new Set([
  "tool.deadline", "tool.timeout", "tool.unanswered", "tool.no_responders", "gateway.disconnected", "claim.late",
]);

/** The normal forms that a journal may have: more than one where a lost attempt can be read in two ways. */
export function normalForms(events: readonly JournalEvent[], run: string, serial: string): { forms: NormalForm[]; detours: Detour[] } {
  const commits: JournalEvent[][] = [];
  for (const event of events) {
    if (event.body.part[0] === 1) commits.push([]);
    commits.at(-1)?.push(event);
  }
  const detours: Detour[] = [];
  const doubted = new Set<string>();
  const holders = new Map<string, { gateway: string; commit: number }>();
  // reading 1 takes the lost attempt out; reading 2 lets it stand for one that would have been retried anyhow
  const out: [Set<number>, Set<number>] = [new Set(), new Set()];
  const loose: [Set<number>, Set<number>] = [new Set(), new Set()];
  for (const [index, commit] of commits.entries()) {
    for (const { body } of commit) {
      const action = body.data["action"] as string;
      if (body.type === "action.started") holders.set(action, { gateway: (body.data["claim"] as { gateway: string }).gateway, commit: index });
      if (body.type !== "action.in_doubt" && body.type !== "action.retrying") continue;
      const { code } = body.data["error"] as { code: string };
      if (!WHY_LOST.has(code)) {
        if (doubted.has(action)) for (const reading of loose) reading.add(index);
        continue;
      }
      doubted.add(action);
      const holder = holders.get(action);
      detours.push({ gateway: holder?.gateway, error: code });
      const next = commits.findIndex((later, at) => at > index && later.some(({ body: { data } }) => data["action"] === action));
      for (const reading of [0, 1] as const) {
        if (body.type === "action.in_doubt") {
          out[reading].add(index);
          loose[reading].add(next);
        } else if (reading === 0) {
          out[0].add(index).add(next);
          if (holder !== undefined) out[0].add(holder.commit);
        } else loose[1].add(index);
      }
    }
  }
  const form = (reading: 0 | 1): NormalForm => {
    const scribe = new Scribe(run, serial);
    const kept = commits.flatMap((commit, index): Commit[] => (out[reading].has(index) ? [] : [{ events: commit, loose: loose[reading].has(index) }]));
    return { lines: kept.map((commit) => scribe.line(commit)) };
  };
  return { forms: detours.length === 0 ? [form(0)] : [form(0), form(1)], detours };
}

/** Where every action ended, with which output, and where the aggregate did: whatever it took to get there. */
export function endsForm(events: readonly JournalEvent[], run: string, serial: string): NormalForm {
  const scribe = new Scribe(run, serial);
  const ends = new Map<string, string>();
  const outputs = new Map<string, unknown>();
  for (const { body } of events) {
    const action = body.data["action"] as string | undefined;
    const key = action ?? body.type.slice(0, body.type.indexOf("."));
    ends.set(key, body.to);
    if (action !== undefined && body.data["output"] !== undefined) outputs.set(key, body.data["output"]);
  }
  const lines = [...ends].map(([key, to]) => scribe.end(key, to, outputs.get(key)));
  return { lines: lines.map((full) => ({ full, reduced: full, loose: false })) };
}

/** What is first different, or nothing. */
export function difference(expected: NormalForm, found: NormalForm): string | undefined {
  const length = Math.max(expected.lines.length, found.lines.length);
  for (let i = 0; i < length; i++) {
    const [a, b] = [expected.lines[i], found.lines[i]];
    const same = a !== undefined && b !== undefined && (b.loose ? a.reduced === b.reduced : a.full === b.full);
    if (!same) return `commit ${i + 1}:\n  expected ${a?.full ?? "nothing"}\n  found    ${(b?.loose === true ? `(loosely) ${b.reduced}` : b?.full) ?? "nothing"}`;
  }
  return undefined;
}

const KINDS: Readonly<Record<string, string>> = { a: "action", q: "request", s: "stop", l: "lease", r: "return" };
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const DAY = /\b\d{4}-\d\d-\d\d\b/g;
/** Digests; ids of actions, requests, stops, leases and returns; and, of what is sealed, the subject, the key and the value. */
const NAMED = /sha256:[0-9a-f]{64}|\b[aqs]\d+\b|\b[lr]\d+\.\d+\b|(?<=(?:(?:subject|key)\\*":\\*"|destroyed\.))[0-9a-f]{16,32}|(?<=value\\*":\\*")[A-Za-z0-9_-]{24,}/g;

class Scribe {
  readonly #run: string;
  readonly #serial: string;
  #firstTotal: number | undefined;
  readonly #names = new Map<string, string>();
  readonly #attempts = new Map<string, number>();
  readonly #lastAttempt = new Map<string, number>();

  constructor(run: string, serial: string) {
    this.#run = run;
    this.#serial = serial;
  }

  line({ events, loose }: Commit): NormalForm["lines"][number] {
    const { cause } = events[0]!.body;
    const own = cause.kind === "report";
    const head = own ? "report <claim>" : `${cause.kind} ${this.#text(cause.actor)} ${this.#text(cause.id)}`;
    const parts = events.map(({ body }) => {
      const action = body.data["action"] as string | undefined;
      if (action !== undefined && body.type === "action.dispatched") {
        const seen = body.data["attempt"] as number;
        if (seen !== this.#lastAttempt.get(action)) this.#attempts.set(action, (this.#attempts.get(action) ?? 0) + 1);
        this.#lastAttempt.set(action, seen);
      }
      const { input, input_hash, facts, ...data } = body.data as Record<string, unknown>;
      void input_hash;
      const kept = (value: unknown) => this.#text(JSON.stringify(this.#clean(value, action)) ?? "");
      const rest = kept(data);
      return {
        full: `${body.type} ${body.from}>${body.to} ${rest} ${kept(input)} ${kept(facts)}`,
        reduced: `${body.type} ${this.#text(action ?? "")} ${kept(data["output"])}`,
      };
    });
    return { full: `${head}: ${parts.map(({ full }) => full).join(" | ")}`, reduced: parts.map(({ reduced }) => reduced).join(" | "), loose };
  }

  end(key: string, to: string, output: unknown): string {
    const text = JSON.stringify(this.#clean(output, undefined)) ?? "";
    // a change of documents that is tried again finds in force what the attempt before it applied
    return this.#text(`${key}: ${to} ${text.replaceAll('"outcome":"in_force"', '"outcome":"applied"')}`);
  }

  #clean(value: unknown, action: string | undefined): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#clean(item, action));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, item]) => {
          if (key === "claim") return [key, "<claim>"];
          if (key === "id" && "claim" in value) return [key, "<claim>"];
          if (key === "armed") return [key, "<seq>"];
          // of an account that other plays used before
          if (key === "total" && typeof item === "number") return [key, item - (this.#firstTotal ??= item)];
          if (key === "attempt" && action !== undefined) return [key, this.#attempts.get(action)];
          if (key === "attempt") return [key, "<attempt>"];
          return [key, this.#clean(item, action)];
        }),
    );
  }

  #text(text: string): string {
    return text.replaceAll(this.#run, "<run>").replaceAll(this.#serial, "<play>").replace(TIME, "<time>").replace(DAY, "<day>").replace(NAMED, (name) => {
      let known = this.#names.get(name);
      if (known === undefined) {
        const kind = name.startsWith("sha256:") ? "digest" : (KINDS[/^[aqslr]\d+(\.\d+)?$/.exec(name)?.[0][0] ?? ""] ?? "sealed");
        this.#names.set(name, (known = `<${kind} ${this.#names.size + 1}>`));
      }
      return known;
    });
  }
}
