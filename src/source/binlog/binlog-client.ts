import { randomInt } from 'node:crypto';
import ZongJi from '@vlasky/zongji';
import type { ConnectionOptions } from 'mysql2';
import type { Coordinates } from '../../model/coordinates.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { connectionError } from '../server/connection-error.ts';
import { identityQuery, type ServerInfo } from '../server/server-info.ts';
import type { EventContinuation } from './binlog-decoder.ts';

/** Where the dump begins: behind the transactions of a GTID set or position, or at coordinates. */
export type DumpStart = { gtids: string } | { coordinates: Coordinates };

export interface DumpOptions {
  connection: ConnectionOptions;
  serverId: number | 'auto';
  from: DumpStart;
  /** The server that `from` was decided with: behind a proxy or a name of many addresses another one may answer. */
  server?: Pick<ServerInfo, 'flavor' | 'identity'>;
  /** Milliseconds between heartbeats of an idle server; after three without a byte the link counts as dead. */
  heartbeatMs: number;
  /**
   * Takes each whole event, `bytes[start..end)`; what it throws ends the stream with that error. What it returns is
   * the rest of the event: it is driven to its end, while not paused, before the next event is given.
   */
  onEvent: (bytes: Buffer, start: number, end: number) => EventContinuation | undefined;
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
  query(sql: string, done?: (error: Error | null, rows?: object[]) => void): unknown;
  stream?: { bytesRead: number };
  pause(): void;
  resume(): void;
}

/**
 * One dump connection. zongji speaks the protocol (handshake, TLS, checksum negotiation, COM_BINLOG_DUMP and _GTID,
 * MariaDB's dialect); its packet handler is replaced by ours before the dump begins, so that no event is decoded,
 * filtered or dropped on the way. An instance lives for one connection and is never started again.
 */
export class BinlogClient {
  readonly #options: DumpOptions;
  readonly #zongji: Dump;
  #paused = false;
  #packets = 0;
  /** The event that is not at its end; the connection is paused while there is one. */
  #pendingEvent: EventContinuation | undefined;
  #driving = false;
  #scheduled = false;
  #ended = false;
  #fail: (error: CdcError) => void = () => {};

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
    if (this.#ended) return;
    if (this.#pendingEvent === undefined) this.#zongji.connection?.resume();
    else this.#resumeContinuation();
  }

  /** Follows the binlog until `signal` aborts (then it resolves) or the stream breaks (then it rejects). */
  async follow(): Promise<void> {
    const { signal, heartbeatMs } = this.#options;
    if (signal.aborted) return;
    let watchdog: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        onAbort = () => resolve();
        signal.addEventListener('abort', onAbort, { once: true });
        this.#fail = reject;
        this.#start(reject);
        watchdog = this.#startWatchdog(heartbeatMs, reject);
      });
    } finally {
      clearInterval(watchdog);
      if (onAbort) signal.removeEventListener('abort', onAbort);
      this.#ended = true;
      this.#pendingEvent = undefined;
      await this.#stop();
    }
  }

  #start(fail: (error: CdcError) => void): void {
    const zongji = this.#zongji;
    const { connection, from, serverId, server, heartbeatMs, onStart } = this.#options;
    const broken = (error: unknown): void => fail(connectionError(error, { ...connection, serverId }));
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
      if (server !== undefined) this.#verifyServerIdentity(server, broken);
      zongji.ctrlConnection.query(`SET SESSION wait_timeout=${WAIT_TIMEOUT_S}`, (error) => error && broken(error));
      onStart(zongji.useChecksum);
      const dump = zongji.BinlogClass.prototype;
      dump.onResult = broken;
      dump.binlogData = (packet) => this.#onPacket(packet, dump);
    });
    zongji.start({
      serverId: serverId === 'auto' ? randomInt(1, 2 ** 32 - 1) : serverId,
      ...('gtids' in from
        ? { gtidSet: from.gtids }
        : { filename: from.coordinates.file, position: from.coordinates.position }),
    });
  }

  /** The dump is asked for behind the answer. */
  #verifyServerIdentity(
    { flavor, identity }: Pick<ServerInfo, 'flavor' | 'identity'>,
    broken: (error: unknown) => void,
  ): void {
    this.#zongji.connection.query(identityQuery[flavor], (error, rows = []) => {
      if (error) return broken(error);
      const answers = String(Object.values(rows[0] ?? {})[0]);
      if (answers === identity) return;
      this.#failWith(
        new CdcError('another server answers than a moment ago', {
          kind: 'retry',
          why: `${identity} said where to begin, ${answers} would send the binlog: their coordinates differ`,
          hint: 'name one server in source.url, not a balancer over several; after a failover this passes by itself',
        }),
      );
    });
  }

  #onPacket(packet: Packet, dump: DumpCommand): unknown {
    this.#packets++;
    // The connection is being closed; packets that still arrive are not to be read.
    if (this.#ended) return ignorePackets;
    try {
      if (packet.isEOF()) throw new CdcError('the server ended the binlog dump', { kind: 'retry' });
      this.#pendingEvent = this.#options.onEvent(packet.buffer, packet.offset + 1, packet.end);
    } catch (error) {
      this.#failWith(error);
      return ignorePackets;
    }
    if (this.#pendingEvent !== undefined) {
      this.#runContinuation();
      if (this.#pendingEvent !== undefined) this.#zongji.connection.pause();
    }
    return this.#ended ? ignorePackets : dump.binlogData;
  }

  /** Goes on with the rest of an event, in slices, so that timers, acknowledgements and signals get their turn. */
  #runContinuation(): void {
    const rest = this.#pendingEvent;
    if (this.#driving || rest === undefined) return;
    this.#driving = true;
    const until = performance.now() + EVENT_LOOP_SLICE_MS;
    let done: boolean | undefined = false;
    try {
      while (!done && !this.#paused && performance.now() < until) {
        const step = rest.next();
        if (step.value !== undefined) return this.#awaitStep(rest, step.value);
        done = step.done;
      }
    } catch (error) {
      this.#failWith(error);
      return;
    }
    this.#driving = false;
    if (done) this.#pendingEvent = undefined;
    else if (!this.#paused && !this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#resumeContinuation();
      });
    }
  }

  /** Goes on once the promise of a step has settled; a rejection is thrown where the step waits. */
  #awaitStep(rest: EventContinuation, promise: Promise<void>): void {
    const goOn = (step: () => void): void => {
      this.#driving = false;
      if (this.#pendingEvent !== rest) return;
      try {
        step();
        this.#resumeContinuation();
      } catch (error) {
        this.#failWith(error);
      }
    };
    promise.then(
      () => goOn(() => {}),
      (error) => goOn(() => rest.throw(error)),
    );
  }

  /** Out of a packet's turn: at the end of the event the packets that wait get theirs. */
  #resumeContinuation(): void {
    if (this.#pendingEvent === undefined || this.#paused) return;
    this.#runContinuation();
    if (this.#pendingEvent === undefined && !this.#paused && !this.#ended) this.#zongji.connection.resume();
  }

  #failWith(error: unknown): void {
    this.#ended = true;
    this.#pendingEvent = undefined;
    this.#fail(asCdcError(error));
  }

  /**
   * A half-open link is silent for hours; a live one says something at least once a heartbeat. Bytes count, not packets:
   * an event may be a gigabyte. Nothing is said of a link from which we do not read. Until the first events have come
   * the server may be looking for the place, and MariaDB sends no heartbeat meanwhile.
   */
  #startWatchdog(heartbeatMs: number, fail: (error: CdcError) => void): NodeJS.Timeout {
    let seen = -1;
    let silent = 0;
    const timer = setInterval(() => {
      const read = this.#zongji.connection?.stream?.bytesRead ?? 0;
      const busy = this.#paused || this.#pendingEvent !== undefined;
      silent = busy || read !== seen ? 0 : silent + 1;
      seen = read;
      if (silent < (this.#packets > STARTUP_PACKETS ? MISSED_HEARTBEATS_MAX : MISSED_HEARTBEATS_MAX_AT_START)) return;
      fail(
        new CdcError('the binlog connection is silent', {
          kind: 'retry',
          why: `neither event nor heartbeat for ${silent * heartbeatMs} ms`,
          hint: 'see that the network between cdc and the server holds; cdc run connects again by itself',
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

const MISSED_HEARTBEATS_MAX = 3;
/** Rotate, format and what lies before the file come at once, wherever in it the dump begins. */
const STARTUP_PACKETS = 3;
const MISSED_HEARTBEATS_MAX_AT_START = 12;
/** How long the rest of an event may hold the event loop at a time. */
const EVENT_LOOP_SLICE_MS = 15;
const NET_WRITE_TIMEOUT_S = 3600;
const WAIT_TIMEOUT_S = 31_536_000;

const ignorePackets = (): unknown => ignorePackets;
