/** Where checkpoints are sent: places that whoever owns the plane cannot change afterwards, or so their owners hope. */
import { open, readFile } from "node:fs/promises";
import { type NatsConnection } from "../bus/connection.ts";

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

/** Publishes to an auditor's own account, on a connection that is logged in there. */
export function natsSink(nc: NatsConnection, subject: string): Sink {
  return {
    name: `nats:${subject}`,
    async put(line) {
      nc.publish(subject, new TextEncoder().encode(line));
      await nc.flush();
    },
  };
}
