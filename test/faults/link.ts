/**
 * A network between one role and the server: slow, narrow, silent or broken, as a test says. What a silent link takes
 * is kept, as the sender's kernel would keep it: when the silence ends it comes late, or it is lost with its connection.
 */
import { type Server, type Socket, connect, createServer } from "node:net";

/** From the role to the server, or back. */
export type Direction = "up" | "down";

export interface LinkOptions {
  /** One way, ms. */
  readonly latencyMs?: number;
  /** Each way. */
  readonly bytesPerSecond?: number;
  /** Sees what is about to be passed on, in pieces as they come off the wire. */
  readonly onPass?: (direction: Direction, text: string) => void;
}

export interface Link {
  readonly url: string;
  /** Bytes that a silence keeps now. */
  readonly kept: number;
  /** Nothing gets through any more; every connection stays, and new ones are taken and hear nothing. */
  silence(...directions: Direction[]): void;
  /** Resolves when a silence keeps so many bytes in this direction. */
  keeps(direction: Direction, bytes: number): Promise<void>;
  /** What was kept arrives, late and in order. */
  heal(): void;
  /** What was kept is lost, and so is every connection; new ones get through. */
  reset(): void;
  /** Resolves when something that fits was passed on, from now on. */
  passed(direction: Direction, fits: (text: string) => boolean): Promise<string>;
  close(): Promise<void>;
}

/** @param serverUrl `nats://host:port` */
export async function openLink(serverUrl: string, options: LinkOptions = {}): Promise<Link> {
  const { hostname, port } = new URL(serverUrl);
  const silent = new Set<Direction>();
  const pipes = new Set<Pipe>();
  const sockets = new Set<Socket>();
  const waiting = new Set<(direction: Direction, text: string) => void>();
  const takers = new Set<() => void>();
  const kept = (direction: Direction) => [...pipes].reduce((sum, pipe) => (pipe.direction === direction && silent.has(direction) ? sum + pipe.queued : sum), 0);

  const parts: PipeParts = {
    ...options,
    isSilent: (direction) => silent.has(direction),
    onPass: (direction, text) => {
      options.onPass?.(direction, text);
      for (const look of [...waiting]) look(direction, text);
    },
    onKept: () => {
      for (const look of [...takers]) look();
    },
  };
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
    const both = [new Pipe("up", client, upstream, parts), new Pipe("down", upstream, client, parts)];
    for (const pipe of both) pipes.add(pipe);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      // a reset of one side is the end of what comes from it; the pipe passes that on in its turn
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        for (const pipe of both) if (pipe.done) pipes.delete(pipe);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address() as { port: number };
  const drop = () => {
    for (const pipe of pipes) pipe.drop();
    pipes.clear();
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `nats://127.0.0.1:${address.port}`,
    get kept() {
      return kept("up") + kept("down");
    },
    silence: (...directions) => {
      for (const direction of directions.length === 0 ? (["up", "down"] as const) : directions) silent.add(direction);
    },
    keeps: (direction, bytes) =>
      new Promise((resolve) => {
        const look = () => {
          if (kept(direction) < bytes) return;
          takers.delete(look);
          resolve();
        };
        takers.add(look);
        look();
      }),
    heal: () => {
      silent.clear();
      for (const pipe of pipes) pipe.flow();
    },
    reset: () => {
      silent.clear();
      drop();
    },
    passed: (direction, fits) =>
      new Promise((resolve) => {
        const look = (passed: Direction, text: string) => {
          if (passed !== direction || !fits(text)) return;
          waiting.delete(look);
          resolve(text);
        };
        waiting.add(look);
      }),
    close: async () => {
      // no more first: somebody who comes back between the two would be waited for
      const closed = new Promise((resolve) => server.close(resolve));
      drop();
      await closed;
    },
  };
}

interface PipeParts extends LinkOptions {
  readonly onPass: (direction: Direction, text: string) => void;
  readonly isSilent: (direction: Direction) => boolean;
  readonly onKept: () => void;
}

interface Piece {
  /** `undefined`: the sender has ended. */
  readonly data: Buffer | undefined;
  readonly dueAt: number;
}

/** One direction of one connection. */
class Pipe {
  readonly direction: Direction;
  readonly #to: Socket;
  readonly #parts: PipeParts;
  #pieces: Piece[] = [];
  /** When the wire has taken the last piece. */
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;
  done = false;

  constructor(direction: Direction, from: Socket, to: Socket, parts: PipeParts) {
    this.direction = direction;
    this.#to = to;
    this.#parts = parts;
    from.on("data", (data) => this.#take(data));
    from.once("end", () => this.#take(undefined));
    from.once("close", () => this.#take(undefined));
  }

  get queued(): number {
    return this.#pieces.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
  }

  drop(): void {
    this.done = true;
    clearTimeout(this.#timer);
    this.#pieces = [];
  }

  /** Passes on what is due. */
  flow(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let piece = this.#pieces[0]; piece !== undefined && !this.done; piece = this.#pieces[0]) {
      // asked for each piece: whoever sees one pass may silence the link behind it
      if (this.#parts.isSilent(this.direction)) {
        this.#parts.onKept();
        return;
      }
      const wait = piece.dueAt - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.flow(), wait);
        return;
      }
      this.#pieces.shift();
      this.#pass(piece.data);
    }
  }

  #take(data: Buffer | undefined): void {
    if (this.done) return;
    const { latencyMs = 0, bytesPerSecond } = this.#parts;
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + (bytesPerSecond === undefined ? 0 : ((data?.length ?? 0) * 1000) / bytesPerSecond);
    this.#pieces.push({ data, dueAt: this.#freeAt + latencyMs });
    this.flow();
  }

  #pass(data: Buffer | undefined): void {
    if (data === undefined) {
      this.done = true;
      this.#to.end();
      return;
    }
    this.#parts.onPass(this.direction, data.toString("latin1"));
    if (!this.#to.destroyed) this.#to.write(data);
  }
}
