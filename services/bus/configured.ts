/** Whether a stream still is as it was provisioned: an administrator's hand, or a restore, may have changed it. */
import type { Namespace } from "../../schemas/ids.ts";
import { segmentStream } from "../../schemas/segments.ts";
import { type StreamKind, streamName } from "../../schemas/subjects.ts";
import type { NatsConnection } from "./connection.ts";
import { apiRequest } from "./replies.ts";
import { differences, segmentConfig, streamConfig } from "./streams.ts";

/** What a deployment may choose for itself. */
const FREE: ReadonlySet<string> = new Set(["num_replicas", "storage", "persist_mode"]);

/** Fields of the stream's configuration that are not as the plane's promises need them. @throws ApiError */
export async function configurationFaults(nc: NatsConnection, kind: StreamKind, ns: Namespace): Promise<string[]> {
  const { config } = await apiRequest(nc, `STREAM.INFO.${streamName(kind, ns)}`, undefined, 2_000);
  return differences(streamConfig(kind, ns), config as Record<string, unknown>).filter((field) => !FREE.has(field));
}

/** The same of a later segment of the journal. @throws ApiError */
export async function segmentFaults(nc: NatsConnection, ns: Namespace, segment: number): Promise<string[]> {
  const { config } = await apiRequest(nc, `STREAM.INFO.${segmentStream(ns, segment)}`, undefined, 2_000);
  return differences(segmentConfig(ns, segment), config as Record<string, unknown>).filter((field) => !FREE.has(field));
}
