/**
 * The streams of a namespace: created or brought up to date, then read back, because a server may accept a
 * configuration and leave out what it does not know.
 */
import { isDeepStrictEqual } from "node:util";
import type { Namespace } from "../../schemas/ids.ts";
import { MAX_SEGMENTS, segmentStream } from "../../schemas/segments.ts";
import { inputTransform, patterns, STREAMS, type StreamKind, streamName } from "../../schemas/subjects.ts";
import type { NatsConnection } from "./connection.ts";

export interface ProvisionOptions {
  /** 1 on a single server, 3 on a cluster. */
  readonly replicas?: 1 | 3;
  /** Where answers to agents are kept; `memory` is faster and starts empty after a restart. */
  readonly outStorage?: "file" | "memory";
}

/** The server refused a stream's configuration, or did not keep all of it. */
export class ProvisioningFailed extends Error {
  override readonly name = "ProvisioningFailed";
  readonly help: string;
  constructor(message: string, help: string) {
    super(message);
    this.help = help;
  }
}

/** The fields of a stream's configuration as the JetStream API takes them; durations in nanoseconds. */
type StreamConfig = Readonly<Record<string, unknown>>;

const SECOND = 1_000_000_000;
const DAY = 24 * 60 * 60 * SECOND;
const MIB = 1024 * 1024;

/**
 * Creates or updates all streams of a namespace. Doing it again changes nothing.
 * @throws ProvisioningFailed
 */
export async function provision(nc: NatsConnection, ns: Namespace, options: ProvisionOptions = {}): Promise<void> {
  for (const kind of STREAMS) await ensure(nc, streamConfig(kind, ns, options));
  await provisionSegments(nc, ns, options);
}

/** Streams that wait for the journal to need them. */
const SPARE_SEGMENTS = 2;

/**
 * The journal's segments behind the first: all that hold something, and two more, so that opening the next needs nobody
 * who may change streams. Doing it again changes nothing. @throws ProvisioningFailed
 */
export async function provisionSegments(nc: NatsConnection, ns: Namespace, options: ProvisionOptions = {}): Promise<void> {
  let spare = 0;
  for (let segment = 2; segment <= MAX_SEGMENTS && spare < SPARE_SEGMENTS; segment++) {
    spare = (await ensure(nc, segmentConfig(ns, segment, options))) === 0 ? spare + 1 : 0;
  }
}

/**
 * Closes the streams of sealed segments for ever: the server itself takes nothing any more. The first is left as it is;
 * what is not a run stands there. @throws ProvisioningFailed
 */
export async function closeSegments(nc: NatsConnection, ns: Namespace, sealed: readonly number[]): Promise<void> {
  for (const segment of sealed) {
    if (segment === 1) continue;
    const name = segmentStream(ns, segment);
    const { config } = await demand(nc, `STREAM.INFO.${name}`, {}, name);
    if (config?.["sealed"] !== true) await demand(nc, `STREAM.UPDATE.${name}`, { ...config, sealed: true }, name);
  }
}

/** Returns how many messages the stream holds. */
async function ensure(nc: NatsConnection, wanted: StreamConfig & { readonly name: string }): Promise<number> {
  const { name } = wanted;
  const existing = await api(nc, `STREAM.INFO.${name}`, {});
  if (!existing.error) {
    // what was closed for ever is as it was meant to be
    if (existing.config?.["sealed"] === true || differences(wanted, existing.config ?? {}).length === 0) return existing.state?.messages ?? 0;
    await demand(nc, `STREAM.UPDATE.${name}`, wanted, name);
  } else if (existing.error.err_code === STREAM_NOT_FOUND) {
    await demand(nc, `STREAM.CREATE.${name}`, wanted, name);
  } else {
    throw refused(name, existing.error.description);
  }
  const kept = await demand(nc, `STREAM.INFO.${name}`, {}, name);
  const ignored = differences(wanted, kept.config ?? {});
  if (ignored.length > 0) {
    throw new ProvisioningFailed(
      `the server did not keep ${ignored.map((field) => `\`${field}\``).join(", ")} of the stream \`${name}\``,
      "the server is too old or limits the account; upgrade nats-server, or lift the limits of the account PLANE",
    );
  }
  return kept.state?.messages ?? 0;
}

/** As the journal's first segment, but for its subjects. */
export function segmentConfig(ns: Namespace, segment: number, options: ProvisionOptions = {}): StreamConfig & { readonly name: string } {
  const src = patterns.log(ns, segment);
  return { ...streamConfig("JOURNAL", ns, options), name: segmentStream(ns, segment), subjects: [src], republish: { src, dest: patterns.live(ns) } };
}

/** The configuration of one stream. Why each is as it is stands in DESIGN, "The wire". */
export function streamConfig(kind: StreamKind, ns: Namespace, options: ProvisionOptions = {}): StreamConfig & { readonly name: string } {
  const common = {
    name: streamName(kind, ns),
    storage: "file",
    num_replicas: options.replicas ?? 1,
    max_age: 0,
    max_bytes: -1,
    max_msgs_per_subject: -1,
    allow_direct: true,
    // Deduplication is per stream, so anyone could swallow another's message by using its id first: the
    // smallest window that the server takes, and nobody relies on it.
    duplicate_window: SECOND / 10,
  };
  const inputs = {
    ...common,
    retention: "workqueue",
    discard: "new",
    discard_new_per_subject: true,
    subject_transform: inputTransform(ns),
    // Inputs are read by consumers alone.
    allow_direct: false,
  };
  switch (kind) {
    case "INBOX":
      // One agent's flood at one run is stopped long before the stream is full.
      return { ...inputs, subjects: [patterns.inboxSource(ns)], max_msgs_per_subject: 1_000, max_bytes: 4096 * MIB };
    case "CONTROL":
      return { ...inputs, subjects: patterns.controlSources(ns), max_msgs_per_subject: 10_000, max_bytes: 4096 * MIB };
    case "JOURNAL":
      return {
        ...common,
        subjects: [patterns.log(ns)],
        retention: "limits",
        discard: "new",
        deny_delete: true,
        deny_purge: true,
        allow_atomic: true,
        republish: { src: patterns.log(ns), dest: patterns.live(ns) },
      };
    case "OUT":
      return {
        ...common,
        storage: options.outStorage ?? "file",
        subjects: [patterns.out(ns)],
        retention: "limits",
        discard: "old",
        max_age: 7 * DAY,
        max_msgs_per_subject: 10_000,
        // The sweep repeats what a power cut takes.
        ...((options.outStorage ?? "file") === "file" && asynchronous(options)),
        republish: { src: patterns.out(ns), dest: patterns.outStored(ns) },
      };
    case "REJECTED":
      return {
        ...common,
        subjects: [patterns.rejected(ns)],
        retention: "limits",
        discard: "old",
        max_age: 7 * DAY,
        max_msgs_per_subject: 10_000,
        republish: { src: patterns.rejected(ns), dest: patterns.rejectedStored(ns).replace("*", "{{wildcard(1)}}") },
      };
    case "TIMERS":
      return {
        ...common,
        subjects: [patterns.timers(ns), patterns.dues(ns)],
        retention: "workqueue",
        discard: "old",
        allow_msg_schedules: true,
      };
    case "DISPATCH":
      return {
        ...common,
        subjects: [patterns.dispatches(ns)],
        retention: "workqueue",
        discard: "old",
        ...asynchronous(options),
      };
    case "KEYS":
      // Keys are destroyed by overwriting them: nothing here is denied, and only coordinators have the right.
      return { ...common, subjects: [patterns.keys(ns)], retention: "limits", discard: "new", allow_atomic: false };
    case "LEASES":
      return {
        ...common,
        subjects: [patterns.leases(ns)],
        retention: "limits",
        discard: "old",
        max_msgs_per_subject: 1,
        max_bytes: 16 * MIB,
        // the leader alone says who owns what
        allow_direct: false,
        // signs of life that nobody renews go by themselves
        allow_msg_ttl: true,
        republish: { src: patterns.leases(ns), dest: patterns.leased(ns).replace("*", "{{wildcard(1)}}").replace("*", "{{wildcard(2)}}") },
      };
    case "DOCUMENTS":
      return {
        ...common,
        subjects: [patterns.documents(ns)],
        retention: "limits",
        // The first with a hash stays; the same again is refused, which is no loss.
        discard: "new",
        discard_new_per_subject: true,
        max_msgs_per_subject: 1,
        deny_delete: true,
        deny_purge: true,
      };
  }
}

/** Acknowledged before written, which a single server offers: only for what the sweep rebuilds. */
function asynchronous(options: ProvisionOptions): StreamConfig {
  return (options.replicas ?? 1) === 1 ? { persist_mode: "async" } : {};
}

/** Fields of a wanted configuration that the server's lacks or has otherwise. */
export function differences(wanted: StreamConfig, kept: StreamConfig): string[] {
  return Object.keys(wanted).filter((field) => !isDeepStrictEqual(normal(wanted[field]), normal(kept[field])));
}

/** The server leaves out what is false or zero, and may list subjects in another order. */
function normal(value: unknown): unknown {
  if (value === false || value === 0 || value === -1) return undefined;
  return Array.isArray(value) ? value.toSorted() : value;
}

const STREAM_NOT_FOUND = 10059;

interface ApiAnswer {
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string };
  readonly config?: StreamConfig;
  readonly state?: { readonly messages: number };
}

async function api(nc: NatsConnection, verb: string, body: StreamConfig): Promise<ApiAnswer> {
  const answer = await nc.request(`$JS.API.${verb}`, JSON.stringify(body), { timeout: 10_000 });
  return answer.json<ApiAnswer>();
}

async function demand(nc: NatsConnection, verb: string, body: StreamConfig, stream: string): Promise<ApiAnswer> {
  const answer = await api(nc, verb, body);
  if (answer.error) throw refused(stream, answer.error.description);
  return answer;
}

function refused(stream: string, reason: string): ProvisioningFailed {
  return new ProvisioningFailed(
    `the server refused the stream \`${stream}\`: ${reason}`,
    "check that the account PLANE has JetStream, and that no other stream takes the same subjects",
  );
}
