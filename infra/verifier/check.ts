/** Verifies and replays an export as `signalbox verify --file` and `signalbox replay --file` do, with their code. */
import type { AggregateKind } from "../../schemas/ids.ts";
import { type WitnessKey, witnessKeySchema } from "../../schemas/checkpoint.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, EventMalformed } from "../../services/bus/commit.ts";
import type { AttestedCheckpoint } from "../../services/replay/attested.ts";
import { ExportFile } from "../../services/replay/export-file.ts";
import { withheldOf } from "../../services/replay/withheld.ts";
import { ChainVerifier, Replayer } from "../../services/replay/replay.ts";

export interface AggregateResult {
  readonly kind: AggregateKind;
  readonly name: string;
  readonly events: number;
  /** Of these, those whose bytes are not in the file: nobody can compute them. */
  readonly withheld: number;
  /** Link of the last event, in hex. */
  readonly head: string;
  /** What is wrong with the chain, or where the machine computes something else; none when all is well. */
  readonly faults: readonly string[];
}

export interface Result {
  readonly namespace: string;
  readonly from: string;
  readonly to: string;
  readonly counts: ExportFile["counts"];
  readonly faults: readonly { readonly line: number; readonly why: string }[];
  readonly aggregates: readonly AggregateResult[];
  /** The signed checkpoints in the file, and what they say of its events. */
  readonly checkpoints: readonly AttestedCheckpoint[];
  readonly whole: boolean;
}

/** Reads a `witness-keys.json`. @throws Error when it is none */
export function readKeys(text: string): WitnessKey[] {
  try {
    return witnessKeySchema.array().parse(JSON.parse(text));
  } catch (cause) {
    throw new Error("it is no list of keys: give the `witness-keys.json` that the witness wrote", { cause });
  }
}

/** @param trusted keys that whoever verifies was given; without any, those that the file names are taken for what they are */
export async function checkExport(chunks: AsyncIterable<Uint8Array>, trusted?: readonly WitnessKey[]): Promise<Result> {
  const file = new ExportFile(chunks);
  const checks = new Map<string, { readonly verify: ChainVerifier; readonly replay: Replayer; broken?: string }>();
  for await (const message of file.messages()) {
    const address = parseLog(message.subject);
    if (address === undefined || file.header === undefined) continue;
    let check = checks.get(message.subject);
    if (check === undefined) {
      const { kind, name } = address;
      check = { verify: new ChainVerifier(kind, name), replay: new Replayer(file.header.namespace, kind, name) };
      checks.set(message.subject, check);
    }
    try {
      const event = decodeEvent(message);
      const withheld = withheldOf(message);
      check.verify.push(event, withheld?.link);
      if (withheld === undefined) check.replay.push(event);
      else check.replay.withhold();
    } catch (error) {
      if (!(error instanceof EventMalformed)) throw error;
      check.broken ??= error.message;
    }
  }
  const aggregates = [...checks.values()].map(({ verify, replay, broken }): AggregateResult => {
    const { kind, name, events, head, fault, withheld = 0 } = verify.report;
    const { difference } = replay.report;
    const faults: string[] = [];
    if (broken !== undefined) faults.push(broken);
    if (fault !== undefined) faults.push(`the chain breaks at event ${fault.seq}: ${fault.why}`);
    if (difference !== undefined) {
      faults.push(`event ${difference.seq} differs in \`${difference.field}\`: recorded ${text(difference.recorded)}, computed ${text(difference.computed)}`);
    }
    return { kind, name, events, withheld, head, faults };
  });
  const { header, counts, faults } = file;
  const checkpoints = await file.attested(trusted);
  return {
    namespace: header?.namespace ?? "",
    from: header?.range.from ?? "",
    to: header?.range.to ?? "",
    counts: { ...counts },
    faults,
    aggregates,
    checkpoints,
    whole: counts.faults === 0 && checkpoints.every(({ fault }) => fault === undefined) && aggregates.every((one) => one.faults.length === 0),
  };
}

function text(value: unknown): string {
  const json = typeof value === "string" ? value : JSON.stringify(value);
  return json === undefined ? "nothing" : json.length > 200 ? `${json.slice(0, 200)}…` : json;
}
