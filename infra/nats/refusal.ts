/** Why a server did not start, in one line and with the way to mend it. */

export class ServerNotStarted extends Error {
  override readonly name = "ServerNotStarted";
  readonly help: string;
  constructor(message: string, help: string) {
    super(message);
    this.help = help;
  }
}

/** Reads the reason from what the server wrote before it ended. */
export function refusal(log: string, port: number, otherwise: string): ServerNotStarted {
  if (/address already in use|Only one usage of each socket address/.test(log)) {
    return new ServerNotStarted(
      `port \`${port}\` on this machine is in use`,
      "end what listens there, or choose another port with SIGNALBOX_NATS_PORT (-1 takes a free one)",
    );
  }
  const line = firstComplaint(log);
  return new ServerNotStarted(
    `nats-server did not start: ${line ?? otherwise}`,
    "its log and its configuration stand in the folder `nats` of the data folder",
  );
}

/** `nats-server: file:3:5: …` when it cannot read its configuration, `[pid] date [FTL] …` later on. */
function firstComplaint(log: string): string | undefined {
  const lines = log.split("\n");
  const fatal = lines.find((line) => /^nats-server: |\[FTL\]/.test(line)) ?? lines.find((line) => line.includes("[ERR]"));
  return fatal?.replace(/^nats-server: |^.*\[(FTL|ERR)\] /, "").trim();
}
