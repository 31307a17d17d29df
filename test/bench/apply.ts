/** Brings the benchmark's documents into force, as an operator does. */
import { randomUUID } from "node:crypto";
import { type Namespace, actor } from "../../schemas/ids.ts";
import { aggregateToken, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Documents } from "../../services/bus/documents.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { loadPath } from "../../services/registry/load.ts";

const WITHIN_MS = 10_000;

/** @param operator logged in as the operator `bench` */
export async function applyFolder(operator: NatsConnection, ns: Namespace, folder: string): Promise<void> {
  const { documents, faults } = await loadPath(folder);
  if (faults.length > 0) throw new Error(JSON.stringify(faults, undefined, 2));
  const publisher = new Publisher(operator);
  const store = new Documents(operator, publisher, ns);
  const waiting = new Set(documents.map(({ kind, name }) => subjects.live(ns, kind, name)));
  const { promise: inForce, resolve, reject } = Promise.withResolvers<void>();
  const limit = setTimeout(() => reject(new Error(`not applied: ${[...waiting].join(", ")}`)), WITHIN_MS);
  for (const subject of waiting) {
    operator.subscribe(subject, {
      max: 1,
      callback: () => {
        waiting.delete(subject);
        if (waiting.size === 0) resolve();
      },
    });
  }
  await operator.flush();
  for (const { kind, name, bytes } of documents) {
    const document = await store.put(bytes, "application/json");
    const input = subjects.input(ns, "apply", actor("bench"), aggregateToken(kind, name));
    await publisher.publish(input, Buffer.from(JSON.stringify({ id: randomUUID(), document })));
  }
  await inForce.finally(() => clearTimeout(limit));
  publisher.close();
}
