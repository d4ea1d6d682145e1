import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { BinlogFingerprint } from '../model/binlog-fingerprint.ts';
import { isBefore } from '../model/coordinates.ts';
import { GtidSet } from '../model/gtid-set.ts';
import { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import type { SourceConnection } from '../model/source-connection.ts';
import { asCdcError } from '../runtime/error.ts';
import { BinlogClient, type DumpStart } from './binlog/binlog-client.ts';
import { BinlogPosition, eventDigest } from './binlog/binlog-position.ts';
import { ByteCursor } from './binlog/byte-cursor.ts';
import { EventType as E, HEADER_LENGTH } from './binlog/event-type.ts';
import { readGtid, readTaggedGtid } from './binlog/gtid-event.ts';
import { DUMP_POSITION_MAX } from './limits.ts';
import type { ServerInfo } from './server/server-info.ts';

const HEARTBEAT_MS = 1_000;
const CHECKSUM_LENGTH = 4;
const ER_MASTER_FATAL_ERROR_READING_BINLOG = 1236;

/** Whether events of this type belong to a file, and to no transaction of it. */
const FILE_EVENTS: ReadonlySet<number> = new Set([
  E.ROTATE,
  E.STOP,
  E.FORMAT_DESCRIPTION,
  E.PREVIOUS_GTIDS,
  E.HEARTBEAT,
  E.HEARTBEAT_V2,
  E.MARIADB_GTID_LIST,
  E.MARIADB_BINLOG_CHECKPOINT,
  E.MARIADB_START_ENCRYPTION,
]);

/**
 * Compares the binlog before the checkpoint with what the server has there now. The same file names, positions and
 * GTIDs can name other transactions: after a reset, a restore, or a crash that lost the end of the binlog. One short
 * dump from the last event before the checkpoint shows it.
 * @returns why the transactions differ; undefined if they do not, or if nothing can tell
 * @throws CdcError if the server cannot be asked, or does not send what follows the checkpoint
 */
export async function differenceFromCheckpoint(
  saved: Checkpoint,
  server: ServerInfo,
  connection: SourceConnection,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { binlog, file, position } = saved;
  if (binlog === undefined || saved.server.flavor !== server.flavor) return undefined;
  if (saved.server.identity !== server.identity) return compareOnOtherServer(saved, binlog, server, connection, signal);
  const found = server.binlogs.find((known) => known.file === file);
  if (found === undefined) return compareWithPurged(saved, binlog, server);
  if (position > found.position) return `${file} has ${found.position} bytes, and cdc has read ${position}`;
  return new FileComparison(saved, binlog, server).run(connection, signal);
}

/** What a purged file had is in the purged GTIDs, so a last transaction that is not there is in another file now. */
function compareWithPurged(
  { file }: Checkpoint,
  { gtid }: BinlogFingerprint,
  { purged }: ServerInfo,
): string | undefined {
  if (gtid === '' || purged === undefined) return undefined;
  const isPurged =
    purged instanceof GtidSet
      ? purged.containsAll(GtidSet.parse(gtid))
      : purged.containsAll(MariadbGtidPosition.parse(gtid));
  return isPurged ? undefined : `cdc has read ${gtid} in ${file}, which is purged, but ${gtid} is not`;
}

/** Reads the last event before the checkpoint, and on a MySQL with GTIDs what follows it. */
class FileComparison {
  readonly #file: string;
  readonly #fingerprint: BinlogFingerprint;
  readonly #server: ServerInfo;
  readonly #from: number;
  /** Whether the stream will follow GTIDs: it does not meet transactions without one, and this dump does. */
  readonly #looksBeyond: boolean;
  readonly #position = new BinlogPosition();
  #difference: string | undefined;
  #awaitsEvent: boolean;

  constructor(saved: Checkpoint, fingerprint: BinlogFingerprint, server: ServerInfo) {
    const from = fingerprint.position > 0 ? fingerprint.position : saved.position;
    const reachable = from <= DUMP_POSITION_MAX;
    this.#file = saved.file;
    this.#fingerprint = fingerprint;
    this.#server = server;
    this.#from = reachable ? from : 4;
    this.#awaitsEvent = reachable && fingerprint.position > 0;
    this.#looksBeyond = reachable && server.flavor === 'mysql' && saved.gtids !== null && server.executed !== undefined;
  }

  async run(connection: SourceConnection, signal: AbortSignal): Promise<string | undefined> {
    const coordinates = { file: this.#file, position: this.#from };
    try {
      await readUntil(connection, { coordinates }, signal, (...event) => this.#isDone(...event));
    } catch (error) {
      const why = badPosition(error);
      if (why === undefined) throw error;
      // Coordinates of source.start can be in the middle of an event, as long as nothing was read after them.
      if (this.#fingerprint.position === 0) return undefined;
      return `the server cannot read ${this.#file}:${this.#from}: ${why}`;
    }
    return this.#difference;
  }

  /** Takes an event; true if nothing more is wanted. The FORMAT_DESCRIPTION event comes first, from any position. */
  #isDone(bytes: Buffer, start: number, end: number, bodyEnd: number): boolean {
    const type = bytes[start + 4] as number;
    const { created, digest } = this.#fingerprint;
    this.#position.advance(bytes, start, end, bodyEnd, type, bytes.readUInt16LE(start + 17));
    if (type === E.ROTATE) {
      const cursor = new ByteCursor(bytes, start + HEADER_LENGTH, bodyEnd);
      const position = cursor.u64('a binlog position');
      this.#position.rotate(cursor.text(cursor.remaining), position);
      return this.#awaitsEvent && this.#position.file !== this.#file && this.#differs(this.#nothingThere());
    }
    const seconds = bytes.readUInt32LE(start);
    if (type === E.FORMAT_DESCRIPTION && this.#position.file === this.#file && seconds !== created) {
      return this.#differs(`${this.#file} was created at ${asTime(created)}, and is from ${asTime(seconds)} now`);
    }
    const isHeartbeat = type === E.HEARTBEAT || type === E.HEARTBEAT_V2;
    if (this.#awaitsEvent) {
      if (isHeartbeat) return this.#differs(this.#nothingThere());
      if (FILE_EVENTS.has(type)) return false;
      if (eventDigest(bytes, start, bodyEnd) !== digest) {
        return this.#differs(`the event at ${this.#file}:${this.#from} is not the one that cdc has read there`);
      }
      this.#awaitsEvent = false;
    } else if (!FILE_EVENTS.has(type)) return true;
    return isHeartbeat || !this.#looksBeyond || !isBefore(this.#position.coordinates, this.#server.end);
  }

  #nothingThere(): string {
    return `there is no event at ${this.#file}:${this.#from}`;
  }

  #differs(why: string): true {
    this.#difference = why;
    return true;
  }
}

const asTime = (seconds: number): string => new Date(seconds * 1000).toISOString();

/** The server's reason, if it cannot read an event at this position. */
function badPosition(error: unknown): string | undefined {
  const { cause, why } = asCdcError(error);
  if ((cause as { errno?: number } | undefined)?.errno !== ER_MASTER_FATAL_ERROR_READING_BINLOG) return undefined;
  return why !== undefined && /> file size|impossible position|truncated|exceeded|bogus|corrupt|checksum|crc/i.test(why)
    ? why
    : undefined;
}

/**
 * Another server has the same GTIDs at other coordinates. The time of the first commit of the last transaction is the
 * same on every replica since MySQL 8.0.1. MariaDB and older servers have nothing that stays the same.
 */
async function compareOnOtherServer(
  { gtids }: Checkpoint,
  { gtid, committed }: BinlogFingerprint,
  { executed, purged }: ServerInfo,
  connection: SourceConnection,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (gtids === null || gtid === '' || committed === 0) return undefined;
  if (!(executed instanceof GtidSet && purged instanceof GtidSet)) return undefined;
  const last = GtidSet.parse(gtid);
  if (purged.containsAll(last)) return undefined;
  let difference: string | undefined;
  const before = GtidSet.parse(gtids).subtract(last).toString();
  await readUntil(connection, { gtids: before }, signal, (bytes, start, _end, bodyEnd) => {
    const type = bytes[start + 4] as number;
    if (FILE_EVENTS.has(type)) return type === E.HEARTBEAT || type === E.HEARTBEAT_V2;
    if (type !== E.GTID && type !== E.GTID_TAGGED) return true;
    const read = type === E.GTID ? readGtid : readTaggedGtid;
    const { text, originalCommit } = read(new ByteCursor(bytes, start + HEADER_LENGTH, bodyEnd));
    if (text === gtid && originalCommit !== 0 && originalCommit !== committed) {
      const [then, now] = [committed, originalCommit].map((micros) => asTime(micros / 1e6));
      difference = `${gtid} was committed at ${then} when cdc read it, and at ${now} on this server`;
    }
    return true;
  });
  return difference;
}

/** Takes the event `bytes[start..end)`, whose checksum, if it has one, begins at `bodyEnd`. */
type TakeEvent = (bytes: Buffer, start: number, end: number, bodyEnd: number) => boolean;

/** Reads events until `isDone` returns true for one. */
async function readUntil(
  connection: SourceConnection,
  from: DumpStart,
  signal: AbortSignal,
  isDone: TakeEvent,
): Promise<void> {
  const done = new AbortController();
  let checksum = true;
  await new BinlogClient({
    connection,
    serverId: 'auto',
    from,
    heartbeatMs: HEARTBEAT_MS,
    onStart: (first) => {
      checksum = first;
    },
    onEvent(bytes, start, end) {
      if (done.signal.aborted) return undefined;
      if (bytes[start + 4] === E.FORMAT_DESCRIPTION) checksum = bytes[end - CHECKSUM_LENGTH - 1] === 1;
      if (isDone(bytes, start, end, checksum ? end - CHECKSUM_LENGTH : end)) done.abort();
      return undefined;
    },
    signal: AbortSignal.any([signal, done.signal]),
  }).follow();
  signal.throwIfAborted();
}
