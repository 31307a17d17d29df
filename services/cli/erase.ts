/** `erase`: makes unreadable, for everybody and for ever, what is recorded of one person (AUD-3). */
import { text as readAll } from "node:stream/consumers";
import type { EventData } from "../../schemas/event.ts";
import { erasureControlSchema } from "../../schemas/inputs.ts";
import { subjects } from "../../schemas/subjects.ts";
import { ERASURES_NAME } from "../identity/erasures-name.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { eventOf, freshId, refusedBy, send } from "./send.ts";
import type { Session } from "./session.ts";

/** For the key to be overwritten once it is recorded that it is to be. */
const DONE_MS = 15_000;
const ERASURES = { kind: "erasure", name: ERASURES_NAME } as const;

interface Erased {
  readonly subject: string;
  readonly key: string;
  readonly by: string;
  readonly at: string;
  /** When the store no longer held the key; absent when nothing was heard of it in time. */
  readonly completed_at?: string;
}

export function eraseCommand(cli: Cli): void {
  const command = cli.program.command("erase").argument("<subject>", "the person as the tools name them (the field that `personal` names as `subject`), or `-` to read it from standard input");
  command
    .description("destroy the key of a data subject: what is recorded of them under it can be read by nobody any more, and every chain still verifies")
    .option("--reason <text>", "recorded; name nobody in it", "asked for by the data subject");
  examples(command, "erase cus_1001", 'erase cus_1001 --reason "request 2026-117"', "erase - < subject.txt").addHelpText(
    "after",
    "\nThis cannot be undone. What is said of the same person afterwards is sealed under a new key.\n\nExit codes:\n  0 erased   2 usage   3 refused: nothing is recorded under a key of this subject   6 recorded, and not known to be done yet   7 plane unreachable",
  );
  command.action(async (subject: string, { reason }: { reason: string }, self) => {
    const name = subject === "-" ? (await readAll(cli.io.stdin)).trim() : subject;
    const body = erasureControlSchema.safeParse({ verb: "erase", id: freshId(), subject: name, reason });
    if (!body.success) {
      const [issue] = body.error.issues;
      throw new CliError(EXIT.usage, `\`${issue?.path.join(".") ?? ""}\`: ${issue?.message.toLowerCase() ?? ""}`);
    }
    const answer = await inSession(cli, self, "operate", (session) => erase(session, body.data));
    if (answer.completed_at === undefined) cli.ends(EXIT.failed);
    show(cli, self, answer, ({ subject: pseudonym, key, at, completed_at: completed }) =>
      completed === undefined
        ? cli.paint.yellow(`recorded at ${at}, and not known to be done yet: a coordinator that has the plane's keys does it when it runs`)
        : `${cli.paint.green("erased")}  the key ${key} was destroyed at ${completed}: what is recorded of ${pseudonym} can be read by nobody any more`,
    );
  });
}

async function erase(session: Session, body: { readonly id: string }): Promise<Erased> {
  const hear = subjects.live(session.ns, ERASURES.kind, ERASURES.name);
  const completed = new Map<string, string>();
  let heard: (() => void) | undefined;
  const live = session.nc.subscribe(hear, {
    callback: (error, message) => {
      const event = error === null ? eventOf(message.data) : undefined;
      if (event?.type === "erasure.completed") completed.set((event.data as EventData<"erasure.completed">).key, event.at);
      heard?.();
    },
  });
  try {
    const outcome = await send(session, { kind: "control", aggregate: ERASURES, body, hear });
    if ("rejection" in outcome) throw refusedBy(outcome.rejection.reasons);
    const { data, at } = outcome.event;
    const { subject, key, by } = data as EventData<"erasure.requested">;
    const until = AbortSignal.timeout(DONE_MS);
    while (!completed.has(key) && !until.aborted) {
      await new Promise<void>((resolve) => {
        heard = resolve;
        until.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    const done = completed.get(key);
    return { subject, key, by, at, ...(done !== undefined && { completed_at: done }) };
  } finally {
    live.unsubscribe();
  }
}
