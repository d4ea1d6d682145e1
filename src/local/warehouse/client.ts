import type { Socket } from 'node:net';
import { type Session, SessionEnded } from './session.ts';
import {
  CANCEL_REQUEST,
  type ClientMessage,
  copiesFromClient,
  copyInResponse,
  errorMessage,
  GSS_REQUEST,
  MessageCutter,
  negotiateProtocol,
  ready,
  SSL_REQUEST,
  sqlOf,
} from './wire.ts';

/** Messages are collected before they run, the data of a COPY too. */
const MAX_BATCH_BYTES = 256 * 1024 * 1024;
const PROTOCOL_MAJOR = 3;

/** Serves one connection to its end. Resolves when the session is free of it; never rejects. */
export async function serveClient(socket: Socket, session: Session, log: (line: string) => void): Promise<void> {
  const client = new WarehouseClient(socket, session);
  socket.on('error', () => {}); // the loop below sees the end
  try {
    const cutter = new MessageCutter();
    for await (const chunk of socket) {
      cutter.push(chunk);
      for (let next = cutter.next(client.started); next; next = cutter.next(client.started)) {
        if (!(await client.receive(next))) return;
      }
    }
  } catch (error) {
    // A connection that breaks is the end of its client, and nothing to report.
    if (error instanceof SessionEnded) {
      log(`the embedded warehouse failed: ${error.message}; start cdc firehose again`);
      client.send(errorMessage('FATAL', 'XX000', `the embedded warehouse failed: ${error.message}`));
    }
  } finally {
    await client.leave().catch(() => {});
    socket.end();
  }
}

class WarehouseClient {
  started = false;
  readonly #socket: Socket;
  readonly #session: Session;
  #endTurn: (() => void) | undefined;
  /** Messages that wait for the end of their batch. */
  #batch: Buffer[] = [];
  #batchBytes = 0;
  #copying = false;
  /** After a refused message of the extended protocol, all messages up to Sync are ignored. */
  #skipsToSync = false;

  constructor(socket: Socket, session: Session) {
    this.#socket = socket;
    this.#session = session;
  }

  send(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Returns false at the end of the connection. */
  async receive(next: ClientMessage): Promise<boolean> {
    if (!this.started) return this.#start(next.bytes);
    if (next.type === 'X') return false;
    if (this.#copying) return this.#receiveCopy(next);
    if (this.#skipsToSync && next.type !== 'S') return true;
    switch (next.type) {
      case 'Q':
        return this.#receiveQuery(next);
      case 'P':
        if (copiesFromClient(sqlOf(next)) !== undefined) {
          this.send(errorMessage('ERROR', '0A000', 'COPY FROM STDIN needs the simple query protocol here'));
          this.#skipsToSync = true;
          return true;
        }
        return this.#collect(next);
      case 'S':
        this.#skipsToSync = false;
        return this.#collect(next) && this.#run();
      // A client that flushes waits for the answer in the middle of its batch.
      case 'H':
      case 'F':
        return this.#collect(next) && this.#run();
      // Data of a COPY that has failed meanwhile.
      case 'd':
      case 'c':
      case 'f':
        return true;
      default:
        return this.#collect(next);
    }
  }

  /** Gives the session back, whatever the client has left in it. */
  async leave(): Promise<void> {
    if (this.#endTurn === undefined) return;
    await this.#session.rollBack().finally(() => this.#endTurn?.());
  }

  #start(bytes: Buffer): boolean {
    const code = bytes.readUInt32BE(4);
    if (code === CANCEL_REQUEST) return false;
    if (code === SSL_REQUEST || code === GSS_REQUEST) {
      this.send(Buffer.from('N'));
      return true;
    }
    if (code >>> 16 !== PROTOCOL_MAJOR) {
      this.send(errorMessage('FATAL', '08P01', `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}`));
      return false;
    }
    this.started = true;
    if ((code & 0xffff) > 0) this.send(negotiateProtocol());
    this.send(this.#session.greeting);
    return true;
  }

  #collect({ bytes }: ClientMessage): boolean {
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
    if (this.#batchBytes <= MAX_BATCH_BYTES) return true;
    const limit = `${MAX_BATCH_BYTES / 1024 / 1024} MiB`;
    this.send(errorMessage('FATAL', '54000', `the embedded warehouse takes at most ${limit} at once: copy in parts`));
    return false;
  }

  #receiveQuery(next: ClientMessage): boolean | Promise<boolean> {
    const copy = copiesFromClient(sqlOf(next));
    if (copy === undefined) return this.#collect(next) && this.#run();
    if (copy === 'among others') {
      this.send(errorMessage('ERROR', '0A000', 'COPY FROM STDIN must be the only statement of its query here'));
      this.send(ready('I'));
      return true;
    }
    // PGlite reads the data from the messages behind the statement, and ends without them.
    this.#copying = true;
    this.send(copyInResponse(/\bbinary\b/i.test(sqlOf(next))));
    return this.#collect(next);
  }

  async #receiveCopy(next: ClientMessage): Promise<boolean> {
    if (!['d', 'c', 'f'].includes(next.type)) return true;
    if (!this.#collect(next)) return false;
    if (next.type === 'd') return true;
    this.#copying = false;
    return this.#run('G');
  }

  /** Runs the batch, and keeps the turn until the transaction of the client has ended. */
  async #run(omitted?: 'G'): Promise<boolean> {
    const batch = Buffer.concat(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
    this.#endTurn ??= await this.#session.takeTurn();
    let first = true;
    const status = await this.#session.run(batch, (bytes) => {
      // The client has its CopyInResponse already.
      const skipped = first && bytes[0] === omitted?.charCodeAt(0) ? bytes.readUInt32BE(1) + 1 : 0;
      first = false;
      this.send(bytes.subarray(skipped));
    });
    if (status === 'I') {
      this.#endTurn();
      this.#endTurn = undefined;
    }
    return true;
  }
}
