import { randomInt } from 'node:crypto';
import ZongJi from '@vlasky/zongji';
import type { ConnectionOptions } from 'mysql2';
import type { Coordinates } from '../../model/coordinates.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import { abortable, onAbort } from '../../runtime/abort.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import { connectionOptions, forgetPassword } from '../../secrets/connection-options.ts';
import { isPasswordRejected } from '../../secrets/open-connection.ts';
import {
  CONNECT_TIMEOUT_MS,
  EVENT_LOOP_SLICE_MS,
  MISSED_HEARTBEATS_MAX,
  MISSED_HEARTBEATS_MAX_AT_START,
  NET_WRITE_TIMEOUT_S,
  WAIT_TIMEOUT_S,
} from '../limits.ts';
import { connectionError } from '../server/connection-error.ts';
import { identityQuery, type ServerInfo } from '../server/server-info.ts';
import type { EventContinuation } from './binlog-handler.ts';

/** Where the dump begins: after the transactions of a GTID set or position, or at coordinates. */
export type DumpStart = { gtids: string } | { coordinates: Coordinates };

export interface DumpOptions {
  connection: SourceConnection;
  serverId: number | 'auto';
  from: DumpStart;
  /** The server that `from` was decided with. Through a proxy or a DNS name, another server can answer the dump. */
  server?: Pick<ServerInfo, 'flavor' | 'identity'>;
  /** Milliseconds between heartbeats of an idle server. After three of them without a byte the connection is dead. */
  heartbeatMs: number;
  /**
   * Takes each whole event, `bytes[start..end)`. An error that it throws ends the stream with that error. A returned
   * continuation is the rest of the event: it runs to its end, while not paused, before the next event is given.
   */
  onEvent: (bytes: Buffer, start: number, end: number) => EventContinuation | undefined;
  /** Called once, before the first event. `checksum` is true: the first events carry a CRC32. */
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

/** zongji's dump command, and the parts of zongji that its typings leave out (source: its lib/sequence/binlog.js). */
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
  stream?: { bytesRead: number; destroy(): void };
  pause(): void;
  resume(): void;
}

/** What a client does at the moment; every mode from `running` to `suspended` has the event that is not at its end. */
type Mode =
  | { readonly name: 'reading' | 'ended' }
  | { readonly name: 'running' | 'awaiting' | 'suspended'; readonly event: EventContinuation }
  | { readonly name: 'scheduled'; readonly event: EventContinuation; readonly immediate: NodeJS.Immediate };

const READING: Mode = { name: 'reading' };
const ENDED: Mode = { name: 'ended' };

const NEXT_MODES: Readonly<Record<Mode['name'], readonly Mode['name'][]>> = {
  reading: ['running', 'ended'],
  running: ['reading', 'awaiting', 'scheduled', 'suspended', 'ended'],
  awaiting: ['running', 'suspended', 'ended'],
  scheduled: ['running', 'suspended', 'ended'],
  suspended: ['running', 'ended'],
  ended: ['ended'],
};

/** ROTATE, FORMAT_DESCRIPTION and the GTIDs before the file arrive at once, wherever in the file the dump begins. */
const STARTUP_PACKETS = 3;

/**
 * One dump connection. zongji speaks the protocol (handshake, TLS, checksum negotiation, COM_BINLOG_DUMP and _GTID,
 * MariaDB's dialect). Its packet handler is replaced before the dump begins, so that zongji decodes, filters and drops
 * no event. An instance serves one connection and is never started again.
 *
 * Its mode says what it does with the event that it was given last:
 * - `reading`: no event is pending, and each packet goes to `onEvent`. Most events end there.
 * - `running`: the continuation of an event takes steps, until the event ends (`reading`), a step is a promise
 *   (`awaiting`), the slice of the event loop is used up (`scheduled`), `pause()` was called (`suspended`), or a step
 *   throws (`ended`).
 * - `awaiting`: a step waits for its promise. When it settles, the steps continue (`running`), or wait for `resume()`
 *   (`suspended`).
 * - `scheduled`: the next slice runs in the next turn of the event loop (`running`). A pause cancels it (`suspended`).
 * - `suspended`: the steps wait for `resume()` (`running`).
 * - `ended`: after an error or an abort. Packets that still arrive are ignored.
 *
 * `paused` is what the caller asked for. The connection is paused while `paused` is set or an event is pending. Only
 * the first slice of an event runs while the connection is not paused, because it runs inside the packet handler.
 */
export class BinlogClient {
  readonly #options: DumpOptions;
  #zongji: Dump | undefined;
  #attempt: ConnectionOptions = {};
  #mode: Mode = READING;
  #paused = false;
  #packets = 0;
  #fail: (error: CdcError) => void = () => {};

  constructor(options: DumpOptions) {
    this.#options = options;
  }

  /** Stops reading from the socket. Packets that have already arrived wait in the connection. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    const mode = this.#mode;
    if (mode.name === 'reading') this.#zongji?.connection?.pause();
    else if (mode.name === 'scheduled') this.#setMode({ name: 'suspended', event: mode.event });
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const mode = this.#mode;
    if (mode.name === 'reading') this.#zongji?.connection?.resume();
    else if (mode.name === 'suspended') this.#continue(mode.event);
  }

  /** Follows the binlog until `signal` aborts (then it resolves) or the stream breaks (then it rejects). */
  async follow(): Promise<void> {
    const { signal, heartbeatMs, connection } = this.#options;
    if (signal.aborted) return;
    try {
      const options = await abortable(connectionOptions(connection), signal);
      this.#attempt = options;
      this.#zongji = new ZongJi({ connectTimeout: CONNECT_TIMEOUT_MS, ...options }) as unknown as Dump;
    } catch (error) {
      if (signal.aborted) return;
      throw asCdcError(error);
    }
    let watchdog: NodeJS.Timeout | undefined;
    let removeListener = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        removeListener = onAbort(signal, resolve);
        this.#fail = reject;
        this.#start(reject);
        watchdog = this.#startWatchdog(heartbeatMs, reject);
      });
    } finally {
      clearInterval(watchdog);
      removeListener();
      this.#setMode(ENDED);
      await this.#stop();
    }
  }

  /** zongji, once `follow` has begun. */
  get #dump(): Dump {
    if (this.#zongji === undefined) throw new Error('a binlog client was used before it follows');
    return this.#zongji;
  }

  /** The only place that changes the mode. */
  #setMode(next: Mode): void {
    const { name } = this.#mode;
    if (!NEXT_MODES[name].includes(next.name)) throw new Error(`a ${name} binlog client cannot become ${next.name}`);
    if (this.#mode.name === 'scheduled') clearImmediate(this.#mode.immediate);
    this.#mode = next;
  }

  #start(reject: (error: CdcError) => void): void {
    const zongji = this.#dump;
    const { connection, from, serverId, server, heartbeatMs, onStart } = this.#options;
    const onError = (error: unknown): void => {
      if (isPasswordRejected(error)) void forgetPassword(connection, this.#attempt);
      reject(connectionError(error, { ...connection, serverId }));
    };
    zongji.on('error', onError);
    zongji.on('ready', () => {
      const setVariables = (sql: string): void => {
        zongji.connection.query(sql, (error) => error && onError(error));
      };
      // Files with and without checksums both come, whatever binlog_checksum is now. zongji asks for the checksum of
      // today, and a server then refuses a file that has another one.
      setVariables("SET @master_binlog_checksum='CRC32', @source_binlog_checksum='CRC32'");
      const nanoseconds = heartbeatMs * 1_000_000;
      // Both names: MySQL 8.4 and later reads the new one, all other servers the old one.
      setVariables(`SET @master_heartbeat_period=${nanoseconds}, @source_heartbeat_period=${nanoseconds}`);
      // Under backpressure the socket stays full. The server must not take that for a dead client.
      setVariables(`SET SESSION net_write_timeout=${NET_WRITE_TIMEOUT_S}`);
      if (server !== undefined) this.#verifyServerIdentity(server, onError);
      zongji.ctrlConnection.query(`SET SESSION wait_timeout=${WAIT_TIMEOUT_S}`, (error) => error && onError(error));
      // Asked to pause while there was no connection.
      if (this.#paused) zongji.connection.pause();
      onStart(true);
      const dump = zongji.BinlogClass.prototype;
      dump.onResult = onError;
      dump.binlogData = (packet) => this.#onPacket(packet, dump);
    });
    zongji.start({
      serverId: serverId === 'auto' ? randomInt(1, 2 ** 32 - 1) : serverId,
      ...('gtids' in from
        ? { gtidSet: from.gtids }
        : { filename: from.coordinates.file, position: from.coordinates.position }),
    });
  }

  /** Queued on the connection before the dump command, so the answer comes before the first event. */
  #verifyServerIdentity(
    { flavor, identity }: Pick<ServerInfo, 'flavor' | 'identity'>,
    onError: (error: unknown) => void,
  ): void {
    this.#dump.connection.query(identityQuery[flavor], (error, rows = []) => {
      if (error) return onError(error);
      const actual = String(Object.values(rows[0] ?? {})[0]);
      if (actual === identity) return;
      this.#failWith(
        new CdcError('the source server changed between two connections', {
          kind: 'retry',
          why: `the start position came from ${identity}, but ${actual} answers the dump: their coordinates differ`,
          hint: 'name one server in source.url, not a load balancer over several; after a failover, cdc run recovers by itself',
        }),
      );
    });
  }

  #onPacket(packet: Packet, dump: DumpCommand): unknown {
    this.#packets++;
    // The connection is being closed.
    if (this.#mode === ENDED) return ignorePackets;
    let event: EventContinuation | undefined;
    try {
      if (packet.isEOF()) throw new CdcError('the server ended the binlog dump', { kind: 'retry' });
      event = this.#options.onEvent(packet.buffer, packet.offset + 1, packet.end);
    } catch (error) {
      this.#failWith(error);
      return ignorePackets;
    }
    if (event === undefined) return dump.binlogData;
    const mode = this.#run(event);
    if (mode === ENDED) return ignorePackets;
    if (mode !== READING || this.#paused) this.#dump.connection.pause();
    return dump.binlogData;
  }

  /** Runs the next slice outside of the packet handler. After the end of the event, waiting packets are handled. */
  #continue(event: EventContinuation): void {
    if (this.#run(event) === READING && !this.#paused) this.#dump.connection.resume();
  }

  /** Takes steps of an event for one slice, so that timers, acknowledgements and signals get their turn in between. */
  #run(event: EventContinuation): Mode {
    this.#setMode({ name: 'running', event });
    this.#setMode(this.#takeSteps(event));
    return this.#mode;
  }

  #takeSteps(event: EventContinuation): Mode {
    const sliceEnd = performance.now() + EVENT_LOOP_SLICE_MS;
    try {
      while (!this.#paused && performance.now() < sliceEnd) {
        const step = event.next();
        if (step.value !== undefined) return this.#awaitStep(event, step.value);
        if (step.done) return READING;
      }
    } catch (error) {
      this.#failWith(error);
      return ENDED;
    }
    if (this.#paused) return { name: 'suspended', event };
    return { name: 'scheduled', event, immediate: setImmediate(() => this.#continue(event)) };
  }

  /** Continues once the promise of a step has settled. A rejection is thrown into the continuation. */
  #awaitStep(event: EventContinuation, promise: Promise<void>): Mode {
    const awaiting: Mode = { name: 'awaiting', event };
    const onSettled = (throwRejection?: () => void): void => {
      if (this.#mode !== awaiting) return;
      try {
        throwRejection?.();
      } catch (error) {
        return this.#failWith(error);
      }
      if (this.#paused) this.#setMode({ name: 'suspended', event });
      else this.#continue(event);
    };
    promise.then(
      () => onSettled(),
      (error) => onSettled(() => event.throw(error)),
    );
    return awaiting;
  }

  #failWith(error: unknown): void {
    this.#setMode(ENDED);
    this.#fail(asCdcError(error));
  }

  /**
   * A half-open connection can be silent for hours; a live one sends something at least once a heartbeat. The watchdog
   * counts bytes, not packets, because one event can be a gigabyte. It does not count while nothing is read. Until the
   * first events arrive it waits longer: the server can be searching the start position, and MariaDB sends no
   * heartbeats meanwhile.
   */
  #startWatchdog(heartbeatMs: number, reject: (error: CdcError) => void): NodeJS.Timeout {
    let lastBytesRead = -1;
    let missed = 0;
    const timer = setInterval(() => {
      const bytesRead = this.#zongji?.connection?.stream?.bytesRead ?? 0;
      const isReading = !this.#paused && this.#mode === READING;
      missed = isReading && bytesRead === lastBytesRead ? missed + 1 : 0;
      lastBytesRead = bytesRead;
      if (missed < (this.#packets > STARTUP_PACKETS ? MISSED_HEARTBEATS_MAX : MISSED_HEARTBEATS_MAX_AT_START)) return;
      reject(
        new CdcError('the binlog connection is silent', {
          kind: 'retry',
          why: `neither event nor heartbeat for ${missed * heartbeatMs} ms`,
          hint: 'check the network between cdc and the server; cdc run connects again by itself',
        }),
      );
    }, heartbeatMs);
    return timer;
  }

  async #stop(): Promise<void> {
    const zongji = this.#dump;
    const { connection, ctrlConnection } = zongji;
    await new Promise<void>((resolve) => {
      zongji.removeAllListeners('error');
      zongji.on('error', () => {});
      zongji.once('stopped', resolve);
      zongji.stop();
    });
    // zongji only ends its half of the sockets. In the middle of a handshake the server answers that with an error, and
    // mysql2 would print a warning about its packet number.
    for (const { stream } of [connection, ctrlConnection]) stream?.destroy();
  }
}

const ignorePackets = (): unknown => ignorePackets;
