/** A coordinator in a process of its own, so that a test can kill it as a crash would. Configured by its environment. */
import { pino } from "pino";
import { namespace } from "../../schemas/ids.ts";
import { connectBus } from "../../services/bus/connection.ts";
import { Coordinator } from "../../services/coordinator/coordinator.ts";

const env = (name: string) => process.env[name] ?? "";
const nc = await connectBus({
  url: env("SIGNALBOX_TEST_URL"),
  name: "child",
  creds: env("SIGNALBOX_TEST_CREDS"),
  inboxPrefix: env("SIGNALBOX_TEST_INBOX"),
});
const log = pino({ level: process.env["SIGNALBOX_TEST_LOG"] ?? "silent" }, pino.destination(2));
const elsewhere = env("SIGNALBOX_TEST_ELSEWHERE") === "1" ? { process: null } : {};
await new Coordinator({ nc, ns: namespace(env("SIGNALBOX_TEST_NS")), log, ...elsewhere }).start();
process.stdout.write("ready\n");
