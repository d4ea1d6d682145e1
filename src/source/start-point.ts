import type { Checkpoint } from '../checkpoint/checkpoint-file.ts';
import { type Coordinates, isBefore, parseCoordinates } from '../model/coordinates.ts';
import { GtidSet } from '../model/gtid-set.ts';
import { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import { ReplicationPosition } from '../model/replication-position.ts';
import { CdcError } from '../runtime/error.ts';
import type { DumpStart } from './binlog/binlog-client.ts';
import { TableSchemaCache } from './schema/table-schema-cache.ts';
import type { ServerInfo } from './server/server-info.ts';

export interface StartPoint {
  /** What counts as delivered. */
  delivered: ReplicationPosition;
  epoch: number;
  dump: DumpStart;
  /** What is known of tables whose columns the stream does not name. */
  tableSchemas: TableSchemaCache;
  /** The first file of the dump tells which GTIDs lie before it. */
  readGtidsFromFirstFile: boolean;
  /** Transactions that begin before these coordinates are read for their GTIDs only. */
  skipBefore?: Coordinates;
}

/** Where to begin is asked for by the configuration, or by a flag that is named like this in messages. */
export interface StartRequest {
  start: string;
  /** `source.start` unless told otherwise. */
  optionName?: string;
}

/**
 * Where to begin: at the checkpoint, if there is one and the server can go on from it, else where `start` says.
 * @param now seconds since 1970: the epoch that begins now, should one begin
 */
export function startPoint(
  request: StartRequest,
  saved: Checkpoint | undefined,
  server: ServerInfo,
  now: number = Math.floor(Date.now() / 1000),
): StartPoint {
  return saved === undefined ? initialStart(request, server, now) : resume(saved, server, now);
}

function initialStart(
  { start, optionName = 'source.start' }: StartRequest,
  server: ServerInfo,
  epoch: number,
): StartPoint {
  const { executed, purged, end } = server;
  const oldest = oldestOf(server);
  if (start === 'now') {
    return executed ? fromGtids(executed.clone(), end, epoch) : fromCoordinates(end, server, epoch);
  }
  if (start === 'earliest') {
    return purged instanceof GtidSet
      ? fromGtids(purged.clone(), oldest, epoch)
      : fromCoordinates(oldest, server, epoch);
  }
  const refuse = (what: string, why: string): CdcError =>
    new CdcError(`${optionName} ${start} ${what}`, {
      exitCode: 2,
      why,
      hint: `name a place between ${oldest.file}:${oldest.position} and ${end.file}:${end.position}, or now, or earliest`,
    });
  const coordinates = parseCoordinates(start);
  if (coordinates) {
    const missing = missingReason(coordinates, server);
    if (missing !== undefined) throw refuse('is not in the binlog of the server', missing);
    return fromCoordinates(coordinates, server, epoch);
  }
  const gtids = parseGtids(start, server);
  const gap = findGtidGap(gtids, server);
  if (gap !== undefined) throw refuse(gap.ahead ? 'is ahead of the server' : 'is no longer in the binlog', gap.why);
  return fromGtids(gtids, oldest, epoch);
}

/** Every binlog begins with four bytes that are no event. */
const FIRST_POSITION = 4;

const oldestOf = ({ binlogs, end }: ServerInfo): Coordinates => ({
  file: binlogs[0]?.file ?? end.file,
  position: FIRST_POSITION,
});

/** Why the server cannot send what follows these coordinates; undefined when it can. */
function missingReason({ file, position }: Coordinates, { binlogs }: ServerInfo): string | undefined {
  const log = binlogs.find((known) => known.file === file);
  if (log === undefined) return `there is no ${file}: it has ${binlogs[0]?.file} to ${binlogs.at(-1)?.file}`;
  if (position > log.position) return `${file} has ${log.position} bytes`;
  if (position < FIRST_POSITION) return `the first event is at ${FIRST_POSITION}`;
  return undefined;
}

const REMEDY = 'move the checkpoint file away, start again (source.start says where), and copy the tables anew';

/** GTID containment decides: the server has executed all that we have, and has kept all that we have not. */
function resume(saved: Checkpoint, server: ServerInfo, now: number): StartPoint {
  if (saved.server.flavor !== server.flavor) {
    throw new CdcError(`the checkpoint is of a ${saved.server.flavor} server, this one is ${server.flavor}`, {
      exitCode: 2,
      hint: 'set source.url back, or give this source a name of its own',
    });
  }
  const coordinates = { file: saved.file, position: saved.position };
  const serverChanged = saved.server.identity !== server.identity;
  const coordinatesRestarted = serverChanged || !isWithinBinlog(server.end, coordinates);
  // Coordinates of another server, or of binlogs that were numbered anew, start anew; seq must not.
  const epoch = coordinatesRestarted ? Math.max(saved.epoch + 1, now) : saved.epoch;
  if (saved.gtids !== null && server.executed !== undefined) {
    const gtids = parseGtids(saved.gtids, server);
    const gap = findGtidGap(gtids, server);
    if (gap !== undefined) throw resumeError(gap, server);
    if (coordinatesRestarted && !serverChanged) refuseReset(gtids, coordinates, server);
    // The old coordinates mean nothing here; the first event brings new ones.
    if (coordinatesRestarted) return fromGtids(gtids, oldestOf(server), epoch);
    return { ...fromGtids(gtids, coordinates, epoch), tableSchemas: new TableSchemaCache(saved.tables) };
  }
  if (serverChanged) {
    throw new CdcError('the server is not the one that the checkpoint was made with', {
      exitCode: 4,
      why: `${saved.server.identity} before, ${server.identity} now, and no GTIDs to compare them by`,
      hint: `connect to the old server; or ${REMEDY}`,
    });
  }
  const missing = missingReason(coordinates, server);
  if (missing !== undefined) {
    throw new CdcError('the server no longer has the binlog of the checkpoint', {
      exitCode: 4,
      why: `${saved.file}:${saved.position}, and ${missing}: it was purged, or the binlogs were reset`,
      hint: REMEDY,
    });
  }
  return { ...fromCoordinates(coordinates, server, epoch), tableSchemas: new TableSchemaCache(saved.tables) };
}

/** Whether the end of the binlog may lie behind coordinates that were read from it: the numbers of its files only grow. */
const isWithinBinlog = (end: Coordinates, read: Coordinates): boolean =>
  baseName(end.file) === baseName(read.file) && !isBefore(end, read);

const baseName = (file: string): string => file.replace(/\.\d+$/, '');

/**
 * A replica that lags will have what it lacks; any other server that has never executed what was delivered from it, or
 * has lost what follows, will not.
 */
function resumeError({ ahead, why }: Gap, { isReplica }: ServerInfo): CdcError {
  if (!ahead) {
    return new CdcError('the server no longer has the binlog that follows the checkpoint', {
      exitCode: 4,
      why,
      hint: `restore the purged binlogs; or ${REMEDY}`,
    });
  }
  if (isReplica) {
    return new CdcError('the replica is behind the checkpoint', {
      kind: 'retry',
      exitCode: 4,
      why,
      hint: 'it is tried again until the replica has caught up; if replication is broken, repair it, or connect to the server that has these transactions',
    });
  }
  return new CdcError('the checkpoint is ahead of the server', {
    exitCode: 4,
    why,
    hint: `connect to the server that has them; or ${REMEDY}`,
  });
}

/**
 * The binlogs of the same server are numbered anew. What it has itself written since, under numbers that were delivered
 * before, are other transactions; only what is before all of its binlogs (gtid_purged, set after a restore) is ours.
 */
function refuseReset(ours: GtidSet | MariadbGtidPosition, saved: Coordinates, server: ServerInfo): void {
  const { identity, purged, end } = server;
  const rest = ours instanceof GtidSet && purged instanceof GtidSet ? ours.subtract(purged).toString() : `${ours}`;
  const known =
    ours instanceof MariadbGtidPosition && purged instanceof MariadbGtidPosition && purged.containsAll(ours);
  const own = (entry: string): boolean => entry.startsWith(identity) || `mariadb-${entry.split('-')[1]}` === identity;
  if (known || !rest.split(',').some(own)) return;
  throw new CdcError('the binlogs of the server were reset since the checkpoint', {
    exitCode: 4,
    why: `the checkpoint is at ${saved.file}:${saved.position} with ${ours}, and its binlogs now end at ${end.file}:${end.position}: the same numbers name other transactions`,
    hint: REMEDY,
  });
}

/** Whether the server lacks transactions that the checkpoint has. */
export function isBehindCheckpoint(saved: Checkpoint | undefined, server: ServerInfo): boolean {
  if (saved === undefined || saved.gtids === null || server.executed === undefined) return false;
  if (saved.server.flavor !== server.flavor) return false;
  return findGtidGap(parseGtids(saved.gtids, server), server)?.ahead === true;
}

function fromGtids(gtids: GtidSet | MariadbGtidPosition, coordinates: Coordinates, epoch: number): StartPoint {
  return {
    delivered: new ReplicationPosition(gtids, coordinates),
    epoch,
    dump: { gtids: gtids.toString() },
    readGtidsFromFirstFile: false,
    tableSchemas: new TableSchemaCache([]),
  };
}

/** COM_BINLOG_DUMP has 32 bits for the position; only its other form, with GTIDs, has 64. */
const LAST_DUMP_POSITION = 2 ** 32 - 1;

/**
 * The whole file is read, to learn which GTIDs lie before the coordinates, or, without GTIDs, because the dump cannot
 * name a place behind 4 GiB. Coordinates of a checkpoint lie between transactions; one that straddles named ones began
 * before them.
 */
function fromCoordinates(coordinates: Coordinates, server: ServerInfo, epoch: number): StartPoint {
  const delivered = new ReplicationPosition(undefined, coordinates);
  if (server.executed === undefined && coordinates.position <= LAST_DUMP_POSITION) {
    return {
      delivered,
      epoch,
      dump: { coordinates },
      readGtidsFromFirstFile: false,
      tableSchemas: new TableSchemaCache([]),
    };
  }
  return {
    delivered,
    epoch,
    dump: { coordinates: { file: coordinates.file, position: FIRST_POSITION } },
    readGtidsFromFirstFile: server.executed !== undefined,
    tableSchemas: new TableSchemaCache([]),
    skipBefore: coordinates,
  };
}

function parseGtids(text: string, server: ServerInfo): GtidSet | MariadbGtidPosition {
  if (server.executed === undefined) {
    throw new CdcError('the server has no GTIDs', {
      exitCode: 2,
      why: 'gtid_mode is not ON',
      hint: 'name file:position instead',
    });
  }
  return server.flavor === 'mariadb' ? MariadbGtidPosition.parse(text) : GtidSet.parse(text);
}

interface Gap {
  /** The server lacks what is ours; else it lacks what follows. */
  ahead: boolean;
  why: string;
}

/** What keeps the server from going on behind these transactions: it has never had some, or no longer has what follows. */
function findGtidGap(ours: GtidSet | MariadbGtidPosition, { executed, purged }: ServerInfo): Gap | undefined {
  const other = 'it was restored, reset, or is another one';
  if (ours instanceof GtidSet && executed instanceof GtidSet) {
    if (!executed.containsAll(ours)) {
      return { ahead: true, why: `the server has never executed ${ours.subtract(executed)}: ${other}` };
    }
    const gap = purged instanceof GtidSet ? purged.subtract(ours) : undefined;
    if (gap !== undefined && !gap.isEmpty) return { ahead: false, why: `purged and never delivered: ${gap}` };
  }
  if (ours instanceof MariadbGtidPosition && executed instanceof MariadbGtidPosition) {
    if (!executed.containsAll(ours)) return { ahead: true, why: `${ours} is beyond ${executed}: ${other}` };
    if (purged instanceof MariadbGtidPosition && !ours.containsAll(purged))
      return { ahead: false, why: `delivered up to ${ours.isEmpty ? 'nothing' : ours}, and purged up to ${purged}` };
  }
  return undefined;
}
