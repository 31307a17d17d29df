/** Whether a connection carries: what stands between a role that was started and one that works. */
import { Events, type NatsConnection } from "nats";
import { ApiError, apiRequest, isNotFound } from "./replies.ts";

interface StreamInfo {
  readonly config?: { readonly num_replicas?: number };
  readonly cluster?: { readonly leader?: string };
}

export class Link {
  readonly #nc: NatsConnection;
  #up: boolean;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    this.#up = !nc.isClosed();
    void this.#watch();
    void nc.closed().then(() => (this.#up = false));
  }

  /**
   * Why nothing can be done over this connection now; undefined when the server answers, and every one of these streams
   * is there and has a leader. A stream without one takes nothing: of three servers two are away.
   */
  async trouble(streams: readonly string[], timeoutMs: number): Promise<string | undefined> {
    if (!this.#up) return "the connection to the server is lost";
    if (streams.length === 0) return await this.#silent(timeoutMs);
    const found = await Promise.all(streams.map((stream) => this.#stream(stream, timeoutMs)));
    return found.find((why) => why !== undefined);
  }

  /** A connection whose server has stopped answering looks as if it stood. */
  async #silent(timeoutMs: number): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => (timer = setTimeout(() => resolve("the server does not answer"), timeoutMs)));
    const answered = this.#nc.flush().then(() => undefined, (error: unknown) => String(error));
    return Promise.race([answered, late]).finally(() => clearTimeout(timer));
  }

  async #stream(stream: string, timeoutMs: number): Promise<string | undefined> {
    try {
      const { config, cluster }: StreamInfo = await apiRequest(this.#nc, `STREAM.INFO.${stream}`, undefined, timeoutMs);
      return (config?.num_replicas ?? 1) > 1 && (cluster?.leader ?? "") === "" ? `the stream \`${stream}\` has no leader` : undefined;
    } catch (error) {
      if (isNotFound(error)) return `the stream \`${stream}\` is not there`;
      if (error instanceof ApiError) return `the stream \`${stream}\`: ${error.message}`;
      return `the stream \`${stream}\` does not answer`;
    }
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#nc.status()) {
      if (type === Events.Disconnect) this.#up = false;
      else if (type === Events.Reconnect) this.#up = true;
    }
  }
}
