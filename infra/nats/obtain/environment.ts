/** The server that the user names. What was asked for is used or refused, never replaced by another. */
import { resolve } from "node:path";
import { inspectServer } from "../version.ts";
import { NatsServerUnavailable } from "./source.ts";
import type { Found, Nothing } from "./source.ts";

export async function fromEnvironment(): Promise<Found | Nothing> {
  const named = process.env["SIGNALBOX_NATS_SERVER"];
  if (named === undefined || named === "") return { fault: "SIGNALBOX_NATS_SERVER is not set", silent: true };
  const path = resolve(named);
  const inspected = await inspectServer(path);
  if ("fault" in inspected) {
    throw new NatsServerUnavailable(
      `SIGNALBOX_NATS_SERVER: \`${path}\` ${inspected.fault}`,
      "set it to a nats-server of 2.12 or newer, or unset it and one is found or brought",
    );
  }
  return { path, version: inspected.version, source: "SIGNALBOX_NATS_SERVER" };
}
