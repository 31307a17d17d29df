import { type Logger, pino } from "pino";

/** Of every thread; level by SIGNALBOX_LOG, `warn` when not set. */
export function logger(): Logger {
  // standard error: standard output belongs to what people read
  return pino({ level: process.env["SIGNALBOX_LOG"] ?? "warn" }, pino.destination(2));
}
