/** Loaded before a child's script: when the process that started it is gone, the child is asked to end as well. */
import { Socket } from "node:net";

const fd = Number(process.env.SIGNALBOX_LEASH);
delete process.env.SIGNALBOX_LEASH; // the descriptor is not handed on, so neither is its number

if (fd > 0) {
  const leash = new Socket({ fd, readable: true, writable: false });
  leash.on("error", () => {});
  leash.once("close", () => process.kill(process.pid, "SIGTERM"));
  leash.resume();
  leash.unref();
}
