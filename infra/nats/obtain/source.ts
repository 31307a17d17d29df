/** What the sources of nats-server have in common. */

export interface Found {
  /** Absolute. */
  readonly path: string;
  /** Without the leading `v`. */
  readonly version: string;
  /** For people: `PATH`, `go install`, … */
  readonly source: string;
}

export interface Nothing {
  /** One line: what was tried, and why it came to nothing. */
  readonly fault: string;
  /** Not worth a line of its own while another source may still have one. */
  readonly silent?: boolean;
}

export type Source = (log: (line: string) => void) => Promise<Found | Nothing>;

export class NatsServerUnavailable extends Error {
  override readonly name = "NatsServerUnavailable";
  readonly help: string;
  constructor(message: string, help: string) {
    super(message);
    this.help = help;
  }
}
