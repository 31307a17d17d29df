/** The next segment of a journal, opened as an operator opens it. */
import { randomUUID } from "node:crypto";
import type { EventData } from "../../schemas/event.ts";
import { actor } from "../../schemas/ids.ts";
import { SEGMENT_TABLE } from "../../schemas/segments.ts";
import { aggregateToken, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { NS, type World } from "./world.ts";

const WITHIN_MS = 30_000;

/** @param world with no coordinator running @returns from when on runs start in it, ms since the epoch: two minutes from now */
export async function openSegment(world: World): Promise<number> {
  const coordinator = await world.plane(["coordinator"]);
  const operator = await world.connect("operator", "bench");
  const { promise: opened, resolve, reject } = Promise.withResolvers<number>();
  const limit = setTimeout(() => reject(new Error("the next segment was not opened")), WITHIN_MS);
  operator.subscribe(subjects.live(NS, SEGMENT_TABLE.kind, SEGMENT_TABLE.name), {
    callback: (_, { subject, data }) => {
      const { type, data: told } = decodeEvent({ subject, data, seq: 0, time: 0, headers: new Map() }).body;
      if (type === "segments.opened") resolve(Date.parse((told as EventData<"segments.opened">).from));
    },
  });
  await operator.flush();
  const publisher = new Publisher(operator);
  const input = subjects.input(NS, "control", actor("bench"), aggregateToken(SEGMENT_TABLE.kind, SEGMENT_TABLE.name));
  await publisher.publish(input, Buffer.from(JSON.stringify({ id: randomUUID(), verb: "open" })));
  const from = await opened.finally(() => clearTimeout(limit));
  publisher.close();
  await coordinator.stop();
  return from;
}
