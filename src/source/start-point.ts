import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { type Coordinates, isBefore, parseCoordinates } from '../model/coordinates.ts';
import { Coverage } from '../model/coverage.ts';
import { GtidSet } from '../model/gtid-set.ts';
import { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import { ReplicationPosition } from '../model/replication-position.ts';
import { CdcError } from '../runtime/error.ts';
import type { DumpStart } from './binlog/binlog-client.ts';
import { DUMP_POSITION_MAX } from './limits.ts';
import { TableSchemaCache } from './schema/table-schema-cache.ts';
import { START_OVER_HINT } from './server/recovery-hints.ts';
import type { ServerInfo } from './server/server-info.ts';

export interface StartPoint {
  /** The position up to which everything counts as delivered. */
  delivered: ReplicationPosition;
  epoch: number;
  dump: DumpStart;
  /** Resolved columns of tables whose columns the binlog does not name. */
  tableSchemas: TableSchemaCache;
  /** Which tables the lake holds completely, wherever the stream begins. */
  coverage: Coverage;
  /** Whether the delivered GTIDs are read from the start of the first file of the dump. */
  readGtidsFromFirstFile: boolean;
  /** Transactions that begin before these coordinates are read for their GTIDs only. */
  skipBefore?: Coordinates;
}

/** Where to begin without a checkpoint. */
export interface StartRequest {
  /** `now`, `snapshot` (the same place), `earliest` (or `start`), a GTID set, or `file:position`. */
  start: string;
  /** An epoch is not below this one (source.epoch). */
  lowestEpoch?: number;
  /** An epoch that begins is above this one, the highest that was ever used. */
  usedEpoch?: number;
  /** The option or flag that the value comes from, for messages; `source.start` by default. */
  optionName?: string;
}

/**
 * Where to begin: at the checkpoint if there is one, otherwise where `start` says.
 * @param now seconds since 1970, which become the number of an epoch that begins now
 * @param difference why the binlog of the server is not the one that the checkpoint was read from, if it is not
 * @throws CdcError if the server cannot send the events from there on
 */
export function startPoint(
  request: StartRequest,
  saved: Checkpoint | undefined,
  server: ServerInfo,
  now: number = Math.floor(Date.now() / 1000),
  difference?: string,
): StartPoint {
  const { lowestEpoch = 0, usedEpoch = 0 } = request;
  const newEpoch = Math.max(now, usedEpoch + 1, lowestEpoch);
  const start =
    saved === undefined
      ? initialStart(request, server, newEpoch)
      : resume({ ...saved, epoch: Math.max(saved.epoch, lowestEpoch) }, server, newEpoch, difference);
  const followedSince = saved === undefined ? new Date(now * 1000).toISOString() : null;
  const fresh = saved === undefined && usedEpoch === 0;
  const coverage = saved?.coverage ?? { fresh, followedSince, complete: [] };
  return { ...start, coverage: new Coverage({ ...coverage, incomplete: saved?.incomplete ?? [] }) };
}

/** Where the binlog is read from. */
type StreamStart = Omit<StartPoint, 'coverage'>;

function initialStart(
  { start, optionName = 'source.start' }: StartRequest,
  server: ServerInfo,
  epoch: number,
): StreamStart {
  const { executed, purged, end } = server;
  const oldest = oldestOf(server);
  // The rows that `snapshot` wants beside the changes from now on are the work of a backfill.
  if (start === 'now' || start === 'snapshot') {
    return executed ? fromGtids(executed.clone(), end, epoch) : fromCoordinates(end, server, epoch);
  }
  if (start === 'earliest' || start === 'start') {
    return purged instanceof GtidSet
      ? fromGtids(purged.clone(), oldest, epoch)
      : fromCoordinates(oldest, server, epoch);
  }
  const invalid = (what: string, why: string): CdcError =>
    new CdcError(`${optionName} ${start} ${what}`, {
      exitCode: 2,
      why,
      hint: `choose a position between ${oldest.file}:${oldest.position} and ${end.file}:${end.position}, or now, or earliest`,
    });
  const coordinates = parseCoordinates(start);
  if (coordinates) {
    const missing = missingReason(coordinates, server);
    if (missing !== undefined) throw invalid('is not in the binlog of the server', missing);
    return fromCoordinates(coordinates, server, epoch);
  }
  const gtids = parseGtids(start, server);
  const gap = findGtidGap(gtids, server);
  if (gap !== undefined) {
    throw invalid(gap.missing === 'delivered' ? 'is ahead of the server' : 'is no longer in the binlog', gap.why);
  }
  return fromGtids(gtids, unknownCoordinates(server), epoch);
}

/** Every binlog begins with four magic bytes (0xfe 'bin') before its first event. */
const FIRST_POSITION = 4;

/** The position of a checkpoint that knows GTIDs only. It ends with the first event or heartbeat. */
const NO_POSITION = 0;
const unknownCoordinates = (server: ServerInfo): Coordinates => ({ ...oldestOf(server), position: NO_POSITION });

const oldestOf = ({ binlogs, end }: ServerInfo): Coordinates => ({
  file: binlogs[0]?.file ?? end.file,
  position: FIRST_POSITION,
});

/** Why the server cannot send the events after these coordinates; undefined if it can. */
function missingReason({ file, position }: Coordinates, { binlogs }: ServerInfo): string | undefined {
  const binlog = binlogs.find((known) => known.file === file);
  if (binlog === undefined) return `there is no ${file}: the server has ${binlogs[0]?.file} to ${binlogs.at(-1)?.file}`;
  if (position > binlog.position) return `${file} has ${binlog.position} bytes`;
  if (position < FIRST_POSITION) return `the first event of a binlog is at ${FIRST_POSITION}`;
  return undefined;
}

/**
 * GTID containment decides whether the server can continue: it must have executed everything that was delivered, and
 * must still have everything that was not.
 */
function resume(saved: Checkpoint, server: ServerInfo, newEpoch: number, difference: string | undefined): StreamStart {
  if (saved.server.flavor !== server.flavor) {
    throw new CdcError(
      `the checkpoint belongs to a ${saved.server.flavor} server, but this server is ${server.flavor}`,
      {
        exitCode: 2,
        hint: 'restore source.url, or give this source its own name',
      },
    );
  }
  const coordinates = { file: saved.file, position: saved.position };
  const serverChanged = saved.server.identity !== server.identity;
  const coordinatesRestarted = serverChanged || difference !== undefined || !isWithinBinlog(server.end, coordinates);
  // Coordinates restart on another server and after a reset of the binlogs; the epoch keeps seq growing.
  const epoch = coordinatesRestarted ? Math.max(saved.epoch + 1, newEpoch) : saved.epoch;
  if (saved.gtids !== null && server.executed !== undefined) {
    const gtids = parseGtids(saved.gtids, server);
    const gap = findGtidGap(gtids, server);
    if (gap !== undefined) throw resumeError(gap, server);
    if (serverChanged && difference !== undefined) throw otherTransactionsError(saved, difference);
    if (coordinatesRestarted && !serverChanged) rejectReset(gtids, coordinates, server, difference);
    // The old coordinates have no meaning on this server; the first event sets new ones.
    if (coordinatesRestarted) return fromGtids(gtids, unknownCoordinates(server), epoch);
    return continueAt(saved, fromGtids(gtids, coordinates, epoch));
  }
  return resumeFromCoordinates(saved, server, epoch, difference);
}

/** What the checkpoint knows of tables and of the binlog stays true. */
const continueAt = ({ tables, binlog }: Checkpoint, start: StreamStart): StreamStart => ({
  ...start,
  delivered: new ReplicationPosition(start.delivered.gtids, start.delivered.coordinates, binlog),
  tableSchemas: new TableSchemaCache(tables),
});

/** Without GTIDs, in the checkpoint or on the server, only coordinates of the same server say where to continue. */
function resumeFromCoordinates(
  saved: Checkpoint,
  server: ServerInfo,
  epoch: number,
  difference: string | undefined,
): StreamStart {
  const coordinates = { file: saved.file, position: saved.position };
  if (saved.server.identity !== server.identity) {
    throw new CdcError('the checkpoint belongs to another server', {
      exitCode: 4,
      why: `checkpoint: ${saved.server.identity}, server: ${server.identity}; without GTIDs their positions cannot be compared`,
      hint: `connect to the server of the checkpoint; or ${START_OVER_HINT}`,
    });
  }
  if (saved.position === NO_POSITION) {
    throw new CdcError('the checkpoint has GTIDs, and the server has none any more', {
      exitCode: 4,
      why: `delivered: ${saved.gtids}; nothing was read since, so no binlog position is known, and gtid_mode is not ON`,
      hint: `set gtid_mode to ON until cdc has started once; or ${START_OVER_HINT}`,
    });
  }
  const missing = missingReason(coordinates, server);
  if (missing !== undefined) {
    throw new CdcError('the server no longer has the binlog of the checkpoint', {
      exitCode: 4,
      why: `the checkpoint is at ${saved.file}:${saved.position}, but ${missing}: it was purged, or the binlogs were reset`,
      hint: START_OVER_HINT,
    });
  }
  if (difference !== undefined) throw otherTransactionsError(saved, difference);
  const lastIsAnonymous = saved.binlog !== undefined && saved.binlog.position > 0 && saved.binlog.gtid === '';
  if (server.executed !== undefined && lastIsAnonymous && saved.position <= DUMP_POSITION_MAX) {
    // gtid_mode was turned ON since. The file has transactions without GTIDs, which the server refuses to send, so
    // that it cannot be read from its start. A restart in a later file learns the GTIDs.
    return continueAt(saved, dumpFrom(coordinates, epoch));
  }
  return continueAt(saved, fromCoordinates(coordinates, server, epoch));
}

/**
 * Whether coordinates that were read from a binlog can still be in it: their file has the same base name, and they are
 * not after its end. The numbers of the files only grow.
 */
const isWithinBinlog = (end: Coordinates, read: Coordinates): boolean =>
  baseName(end.file) === baseName(read.file) && !isBefore(end, read);

const baseName = (file: string): string => file.replace(/\.\d+$/, '');

/**
 * A replica that lags will receive the transactions that it lacks, so that is retried. Another server that never
 * executed a delivered transaction, or has purged a following one, will not recover.
 */
function resumeError({ missing, why }: GtidGap, { isReplica }: ServerInfo): CdcError {
  if (missing === 'following') {
    return new CdcError('the server no longer has the binlog that follows the checkpoint', {
      exitCode: 4,
      why,
      hint: `restore the purged binlogs; or ${START_OVER_HINT}`,
    });
  }
  if (isReplica) {
    return new CdcError('the replica is behind the checkpoint', {
      kind: 'retry',
      exitCode: 4,
      why,
      hint: 'cdc retries until the replica has caught up; if replication is broken, repair it, or connect to the server that has these transactions',
    });
  }
  return new CdcError('the checkpoint is ahead of the server', {
    exitCode: 4,
    why,
    hint: `connect to the server that has these transactions; or ${START_OVER_HINT}`,
  });
}

/**
 * The file numbers of the same server restarted. After a reset the server reuses GTIDs that were delivered, for
 * different transactions. Only GTIDs in gtid_purged, which is set after a restore, are certain to be the delivered
 * ones; and GTIDs of other servers are not reused.
 */
function rejectReset(
  delivered: GtidSet | MariadbGtidPosition,
  saved: Coordinates,
  server: ServerInfo,
  difference: string | undefined,
): void {
  const { identity, purged, end } = server;
  const uncertain =
    delivered instanceof GtidSet && purged instanceof GtidSet ? delivered.subtract(purged).toString() : `${delivered}`;
  const isOfThisServer = (entry: string): boolean =>
    entry.startsWith(identity) || `mariadb-${entry.split('-')[1]}` === identity;
  if (isAllPurged(delivered, server) || !uncertain.split(',').some(isOfThisServer)) return;
  const found = difference ?? `the binlogs end at ${end.file}:${end.position}`;
  throw new CdcError('the binlogs of the server were reset since the checkpoint', {
    exitCode: 4,
    why: `the checkpoint is at ${saved.file}:${saved.position} with ${delivered}, but ${found}: the same GTIDs name other transactions`,
    hint: START_OVER_HINT,
  });
}

/** Whether no binlog of the server has a delivered transaction. */
function isAllPurged(delivered: GtidSet | MariadbGtidPosition, { purged }: ServerInfo): boolean {
  if (delivered instanceof GtidSet) return purged instanceof GtidSet && purged.containsAll(delivered);
  return purged instanceof MariadbGtidPosition && purged.containsAll(delivered);
}

const otherTransactionsError = ({ file, position }: Checkpoint, difference: string): CdcError =>
  new CdcError('the server has other transactions than those before the checkpoint', {
    exitCode: 4,
    why: `the checkpoint is at ${file}:${position}, but ${difference}: the binlogs were reset, the server was restored, or a crash took the end of its binlog`,
    hint: `connect to the server that has the transactions of the checkpoint; or ${START_OVER_HINT}`,
  });

/** Whether the server has not executed transactions that the checkpoint counts as delivered. */
export function isBehindCheckpoint(saved: Checkpoint | undefined, server: ServerInfo): boolean {
  if (saved === undefined || saved.gtids === null || server.executed === undefined) return false;
  if (saved.server.flavor !== server.flavor) return false;
  return findGtidGap(parseGtids(saved.gtids, server), server)?.missing === 'delivered';
}

function fromGtids(gtids: GtidSet | MariadbGtidPosition, coordinates: Coordinates, epoch: number): StreamStart {
  return {
    delivered: new ReplicationPosition(gtids, coordinates),
    epoch,
    dump: { gtids: gtids.toString() },
    readGtidsFromFirstFile: false,
    tableSchemas: new TableSchemaCache([]),
  };
}

/**
 * Reads the whole file in two cases: with GTIDs, to learn which of them are before the coordinates; without GTIDs,
 * because the dump cannot begin beyond 4 GiB. Coordinates of a checkpoint are between two transactions. A transaction
 * that contains coordinates of `source.start` began before them, so it is skipped.
 */
function fromCoordinates(coordinates: Coordinates, server: ServerInfo, epoch: number): StreamStart {
  const delivered = new ReplicationPosition(undefined, coordinates);
  if (server.executed === undefined && coordinates.position <= DUMP_POSITION_MAX) return dumpFrom(coordinates, epoch);
  return {
    delivered,
    epoch,
    dump: { coordinates: { file: coordinates.file, position: FIRST_POSITION } },
    readGtidsFromFirstFile: server.executed !== undefined,
    tableSchemas: new TableSchemaCache([]),
    skipBefore: coordinates,
  };
}

const dumpFrom = (coordinates: Coordinates, epoch: number): StreamStart => ({
  delivered: new ReplicationPosition(undefined, coordinates),
  epoch,
  dump: { coordinates },
  readGtidsFromFirstFile: false,
  tableSchemas: new TableSchemaCache([]),
});

function parseGtids(text: string, server: ServerInfo): GtidSet | MariadbGtidPosition {
  if (server.executed === undefined) {
    throw new CdcError('the server has no GTIDs', {
      exitCode: 2,
      why: 'gtid_mode is not ON',
      hint: 'use file:position instead',
    });
  }
  return server.flavor === 'mariadb' ? MariadbGtidPosition.parse(text) : GtidSet.parse(text);
}

interface GtidGap {
  /** The server never executed a delivered transaction, or no longer has one that follows. */
  missing: 'delivered' | 'following';
  why: string;
}

/** Why the server cannot continue after these transactions; undefined if it can. */
function findGtidGap(delivered: GtidSet | MariadbGtidPosition, { executed, purged }: ServerInfo): GtidGap | undefined {
  const reasons = 'it was restored, reset, or is another server';
  if (delivered instanceof GtidSet && executed instanceof GtidSet) {
    if (!executed.containsAll(delivered)) {
      const why = `the server has never executed ${delivered.subtract(executed)}: ${reasons}`;
      return { missing: 'delivered', why };
    }
    const lost = purged instanceof GtidSet ? purged.subtract(delivered) : undefined;
    if (lost !== undefined && !lost.isEmpty)
      return { missing: 'following', why: `purged and never delivered: ${lost}` };
  }
  if (delivered instanceof MariadbGtidPosition && executed instanceof MariadbGtidPosition) {
    if (!executed.containsAll(delivered)) {
      return {
        missing: 'delivered',
        why: `${delivered} is beyond ${executed}, which the server has executed: ${reasons}`,
      };
    }
    if (purged instanceof MariadbGtidPosition && !delivered.containsAll(purged)) {
      const upTo = delivered.isEmpty ? 'nothing' : delivered;
      return { missing: 'following', why: `delivered up to ${upTo}, and purged up to ${purged}` };
    }
  }
  return undefined;
}
