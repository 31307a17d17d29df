/** Where checkpoints are sent: places that whoever owns the plane cannot change afterwards, or so their owners hope. */
import { open, readFile } from "node:fs/promises";
import type { NatsConnection } from "../bus/connection.ts";
import { Publisher } from "../bus/publisher.ts";

export interface Sink {
  /** As it was named, for messages. */
  readonly name: string;
  /** Takes one checkpoint, as a line of JSON. @throws when it was not taken; it is then sent again */
  put(line: string): Promise<void>;
}

const POST_TIMEOUT_MS = 10_000;

/** Appends to a file, and synchronises it before it counts as sent. */
export function fileSink(path: string): Sink {
  return {
    name: path,
    async put(line) {
      const file = await open(path, "a", 0o644);
      try {
        await file.write(`${line}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

/** The text of a file sink so far; empty when there is none yet. */
export async function fileText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
}

/** Posts to an address that answers 2xx when it has kept it. */
export function httpSink(url: string): Sink {
  return {
    name: url,
    async put(line) {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: line,
        signal: AbortSignal.timeout(POST_TIMEOUT_MS),
      });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    },
  };
}

export interface NatsSink extends Sink {
  close(): Promise<void>;
}

/**
 * Publishes into a stream of an auditor's own account. Taken means acknowledged by that stream: what merely passes a
 * subject is kept by nobody. It may be stored twice, after an acknowledgement that was lost: readers count it once.
 * @param connect logs in there; called at the first checkpoint, and again as long as it fails
 */
export function natsSink(name: string, subject: string, connect: () => Promise<NatsConnection>): NatsSink {
  let open: Promise<{ readonly nc: NatsConnection; readonly publisher: Publisher }> | undefined;
  const opened = async () => {
    const nc = await connect();
    return { nc, publisher: new Publisher(nc) };
  };
  return {
    name,
    async put(line) {
      open ??= opened();
      const { publisher } = await open.catch((error: unknown) => {
        open = undefined;
        throw error;
      });
      await publisher.publish(subject, new TextEncoder().encode(line), { "content-type": "application/json" });
    },
    async close() {
      const known = await open?.catch(() => undefined);
      known?.publisher.close();
      await known?.nc.close();
    },
  };
}
