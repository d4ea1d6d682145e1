import { randomInt } from 'node:crypto';
import ZongJi from '@vlasky/zongji';
import type { ConnectionOptions } from 'mysql2';
import type { Coordinates } from '../change/coordinates.ts';
import { asCdcError, CdcError } from '../error.ts';
import { connectionError } from './connection-error.ts';

/** Where the dump begins: behind the transactions of a GTID set or position, or at coordinates. */
export type DumpStart = { gtids: string } | { coordinates: Coordinates };

export interface DumpOptions {
  connection: ConnectionOptions;
  serverId: number | 'auto';
  from: DumpStart;
  /** Milliseconds between heartbeats of an idle server; after two without a sign of life the link counts as dead. */
  heartbeatMs: number;
  /** Takes each whole event, `bytes[start..end)`; what it throws ends the stream with that error. */
  onEvent: (bytes: Buffer, start: number, end: number) => void;
  /** Called once, before the first event; `checksum` says whether the first events carry a CRC32. */
  onStart: (checksum: boolean) => void;
  signal: AbortSignal;
}

/** The part of a mysql2 packet that is read here: `buffer[offset..end)` is a status byte, then the event. */
interface Packet {
  buffer: Buffer;
  offset: number;
  end: number;
  isEOF(): boolean;
}

/** zongji's dump command, and what of zongji its typings leave out (facts: its own lib/sequence/binlog.js). */
interface DumpCommand {
  binlogData(packet: Packet): unknown;
  onResult(error: Error): void;
}
interface Internals {
  BinlogClass: { prototype: DumpCommand };
  connection: MysqlConnection;
  ctrlConnection: MysqlConnection;
}
type Dump = Omit<ZongJi, 'connection' | 'ctrlConnection'> & Internals;
interface MysqlConnection {
  query(sql: string, done?: (error: Error | null) => void): unknown;
  pause(): void;
  resume(): void;
}

/**
 * One dump connection. zongji speaks the protocol (handshake, TLS, checksum negotiation, COM_BINLOG_DUMP and _GTID,
 * MariaDB's dialect); its packet handler is replaced by ours before the dump begins, so that no event is decoded,
 * filtered or dropped on the way. An instance lives for one connection and is never started again.
 */
export class BinlogStream {
  readonly #options: DumpOptions;
  readonly #zongji: Dump;
  #paused = false;
  #packets = 0;

  constructor(options: DumpOptions) {
    this.#options = options;
    this.#zongji = new ZongJi({ connectTimeout: 10_000, ...options.connection }) as unknown as Dump;
  }

  /** Stops reading from the socket; packets that have already arrived wait. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#zongji.connection?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#zongji.connection?.resume();
  }

  /** Follows the binlog until `signal` aborts (then it resolves) or the stream breaks (then it rejects). */
  async follow(): Promise<void> {
    const { signal, heartbeatMs } = this.#options;
    signal.throwIfAborted();
    let watchdog: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        onAbort = () => resolve();
        signal.addEventListener('abort', onAbort, { once: true });
        this.#start(reject);
        watchdog = this.#watch(heartbeatMs, reject);
      });
    } finally {
      clearInterval(watchdog);
      if (onAbort) signal.removeEventListener('abort', onAbort);
      await this.#stop();
    }
  }

  #start(fail: (error: CdcError) => void): void {
    const zongji = this.#zongji;
    const { connection, from, serverId, heartbeatMs, onStart } = this.#options;
    const broken = (error: unknown): void => fail(connectionError(error, `${connection.host}:${connection.port}`));
    zongji.on('error', broken);
    zongji.on('ready', () => {
      const session = (sql: string): void => {
        zongji.connection.query(sql, (error) => error && broken(error));
      };
      const nanoseconds = heartbeatMs * 1_000_000;
      // Both spellings: MySQL 8.4 and later read the new one, all others the old one.
      session(`SET @master_heartbeat_period=${nanoseconds}, @source_heartbeat_period=${nanoseconds}`);
      // Under back-pressure the socket stays full: the server must not take that for a dead client.
      session(`SET SESSION net_write_timeout=${NET_WRITE_TIMEOUT_S}`);
      zongji.ctrlConnection.query(`SET SESSION wait_timeout=${WAIT_TIMEOUT_S}`, (error) => error && broken(error));
      onStart(zongji.useChecksum);
      const dump = zongji.BinlogClass.prototype;
      dump.onResult = broken;
      dump.binlogData = (packet) => this.#packet(packet, dump, fail);
    });
    zongji.start({
      serverId: serverId === 'auto' ? randomInt(1, 2 ** 32 - 1) : serverId,
      ...('gtids' in from
        ? { gtidSet: from.gtids }
        : { filename: from.coordinates.file, position: from.coordinates.position }),
    });
  }

  #packet(packet: Packet, dump: DumpCommand, fail: (error: CdcError) => void): unknown {
    this.#packets++;
    try {
      if (packet.isEOF()) throw new CdcError('the server ended the binlog dump', { kind: 'retry' });
      this.#options.onEvent(packet.buffer, packet.offset + 1, packet.end);
    } catch (error) {
      fail(asCdcError(error));
      // The connection is being closed; packets that still arrive are not to be read.
      return ignorePackets;
    }
    return dump.binlogData;
  }

  /** A half-open link is silent for hours; a live one says something at least once a heartbeat. */
  #watch(heartbeatMs: number, fail: (error: CdcError) => void): NodeJS.Timeout {
    let seen = -1;
    let silent = 0;
    const timer = setInterval(() => {
      silent = this.#paused || this.#packets !== seen ? 0 : silent + 1;
      seen = this.#packets;
      if (silent >= 3)
        fail(
          new CdcError('the binlog connection is silent', {
            kind: 'retry',
            why: `no heartbeat for ${silent * heartbeatMs} ms`,
          }),
        );
    }, heartbeatMs);
    return timer;
  }

  #stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#zongji.removeAllListeners('error');
      this.#zongji.on('error', () => {});
      this.#zongji.once('stopped', resolve);
      this.#zongji.stop();
    });
  }
}

const NET_WRITE_TIMEOUT_S = 3600;
const WAIT_TIMEOUT_S = 31_536_000;

const ignorePackets = (): unknown => ignorePackets;
