import type { DumpStart } from './binlog/binlog-stream.ts';
import type { ServerFacts } from './binlog/server.ts';
import { type Coordinates, parseCoordinates } from './change/coordinates.ts';
import { GtidSet } from './change/gtid-set.ts';
import { MariadbPosition } from './change/mariadb-position.ts';
import { Position } from './change/position.ts';
import type { Checkpoint } from './checkpoint/checkpoint-file.ts';
import { CdcError } from './error.ts';
import { TableMemory } from './schema/table-memory.ts';

export interface StartPoint {
  /** What counts as delivered. */
  delivered: Position;
  epoch: number;
  dump: DumpStart;
  /** What is known of tables whose columns the stream does not name. */
  memory: TableMemory;
  /** The first file of the dump tells which GTIDs lie before it. */
  gtidsFromStream: boolean;
  /** Transactions that begin before these coordinates are read for their GTIDs only. */
  skipBefore?: Coordinates;
}

/** Where to begin is asked for by the configuration, or by a flag that is named like this in messages. */
export interface StartRequest {
  start: string;
  /** `source.start` unless told otherwise. */
  named?: string;
}

/**
 * Where to begin: at the checkpoint, if there is one and the server can go on from it, else where `start` says.
 * @param now seconds since 1970: the epoch that begins now, should one begin
 */
export function startPoint(
  request: StartRequest,
  saved: Checkpoint | undefined,
  server: ServerFacts,
  now: number = Math.floor(Date.now() / 1000),
): StartPoint {
  return saved === undefined ? firstStart(request, server, now) : resume(saved, server, now);
}

function firstStart({ start, named = 'source.start' }: StartRequest, server: ServerFacts, epoch: number): StartPoint {
  const { executed, purged, end, binlogs } = server;
  const oldest = { file: binlogs[0]?.file ?? end.file, position: FIRST_POSITION };
  if (start === 'now') {
    return executed ? fromGtids(executed.clone(), end, epoch) : fromCoordinates(end, server, epoch);
  }
  if (start === 'earliest') {
    return purged ? fromGtids(purged.clone(), oldest, epoch) : fromCoordinates(oldest, server, epoch);
  }
  const refuse = (what: string, why: string): CdcError =>
    new CdcError(`${named} ${start} ${what}`, {
      exitCode: 2,
      why,
      hint: `name a place between ${oldest.file}:${oldest.position} and ${end.file}:${end.position}, or now, or earliest`,
    });
  const coordinates = parseCoordinates(start);
  if (coordinates) {
    const missing = notThere(coordinates, server);
    if (missing !== undefined) throw refuse('is not in the binlog of the server', missing);
    return fromCoordinates(coordinates, server, epoch);
  }
  const gtids = parseGtids(start, server);
  const gap = gapBetween(gtids, server);
  if (gap !== undefined) throw refuse(gap.ahead ? 'is ahead of the server' : 'is no longer in the binlog', gap.why);
  return fromGtids(gtids, oldest, epoch);
}

/** Every binlog begins with four bytes that are no event. */
const FIRST_POSITION = 4;

/** Why the server cannot send what follows these coordinates; undefined when it can. */
function notThere({ file, position }: Coordinates, { binlogs }: ServerFacts): string | undefined {
  const log = binlogs.find((known) => known.file === file);
  if (log === undefined) return `there is no ${file}: it has ${binlogs[0]?.file} to ${binlogs.at(-1)?.file}`;
  if (position > log.position) return `${file} has ${log.position} bytes`;
  if (position < FIRST_POSITION) return `the first event is at ${FIRST_POSITION}`;
  return undefined;
}

const REMEDY = 'move the checkpoint file away, start again (source.start says where), and copy the tables anew';

/** GTID containment decides: the server has executed all that we have, and has kept all that we have not. */
function resume(saved: Checkpoint, server: ServerFacts, now: number): StartPoint {
  if (saved.server.flavor !== server.flavor) {
    throw new CdcError(`the checkpoint is of a ${saved.server.flavor} server, this one is ${server.flavor}`, {
      exitCode: 2,
      hint: 'set source.url back, or give this source a name of its own',
    });
  }
  const coordinates = { file: saved.file, position: saved.position };
  const moved = saved.server.identity !== server.identity;
  // Coordinates of another server start anew; seq must not.
  const epoch = moved ? Math.max(saved.epoch + 1, now) : saved.epoch;
  const memory = new TableMemory(moved ? [] : saved.tables);
  if (saved.gtids !== null && server.executed !== undefined) {
    const gtids = parseGtids(saved.gtids, server);
    const gap = gapBetween(gtids, server);
    if (gap !== undefined) {
      const what = gap.ahead
        ? 'the checkpoint is ahead of the server'
        : 'the server no longer has the binlog that follows the checkpoint';
      const first = gap.ahead ? 'connect to the server that has them' : 'restore the purged binlogs';
      throw new CdcError(what, { exitCode: 4, why: gap.why, hint: `${first}; or ${REMEDY}` });
    }
    return { ...fromGtids(gtids, coordinates, epoch), memory };
  }
  if (moved) {
    throw new CdcError('the server is not the one that the checkpoint was made with', {
      exitCode: 4,
      why: `${saved.server.identity} before, ${server.identity} now, and no GTIDs to compare them by`,
      hint: `connect to the old server; or ${REMEDY}`,
    });
  }
  const missing = notThere(coordinates, server);
  if (missing !== undefined) {
    throw new CdcError('the server no longer has the binlog of the checkpoint', {
      exitCode: 4,
      why: `${saved.file}:${saved.position}, and ${missing}: it was purged, or the binlogs were reset`,
      hint: REMEDY,
    });
  }
  return { ...fromCoordinates(coordinates, server, epoch), memory };
}

function fromGtids(gtids: GtidSet | MariadbPosition, coordinates: Coordinates, epoch: number): StartPoint {
  return {
    delivered: new Position(gtids, coordinates),
    epoch,
    dump: { gtids: gtids.toString() },
    gtidsFromStream: false,
    memory: new TableMemory([]),
  };
}

/** With GTIDs on, the whole file is read to learn which of them lie before the coordinates. */
function fromCoordinates(coordinates: Coordinates, server: ServerFacts, epoch: number): StartPoint {
  const delivered = new Position(undefined, coordinates);
  if (server.executed === undefined) {
    return { delivered, epoch, dump: { coordinates }, gtidsFromStream: false, memory: new TableMemory([]) };
  }
  return {
    delivered,
    epoch,
    dump: { coordinates: { file: coordinates.file, position: 4 } },
    gtidsFromStream: true,
    memory: new TableMemory([]),
    skipBefore: coordinates,
  };
}

function parseGtids(text: string, server: ServerFacts): GtidSet | MariadbPosition {
  if (server.executed === undefined) {
    throw new CdcError('the server has no GTIDs', {
      exitCode: 2,
      why: 'gtid_mode is not ON',
      hint: 'name file:position instead',
    });
  }
  return server.flavor === 'mariadb' ? MariadbPosition.parse(text) : GtidSet.parse(text);
}

/** What keeps the server from going on behind these transactions: it has never had some, or no longer has what follows. */
function gapBetween(
  ours: GtidSet | MariadbPosition,
  { executed, purged }: ServerFacts,
): { ahead: boolean; why: string } | undefined {
  const other = 'it was restored, reset, or is another one';
  if (ours instanceof GtidSet && executed instanceof GtidSet) {
    if (!executed.containsAll(ours)) {
      return { ahead: true, why: `the server has never executed ${ours.subtract(executed)}: ${other}` };
    }
    const gap = purged?.subtract(ours);
    if (gap !== undefined && !gap.isEmpty) return { ahead: false, why: `purged and never delivered: ${gap}` };
  }
  if (ours instanceof MariadbPosition && executed instanceof MariadbPosition && !executed.containsAll(ours)) {
    return { ahead: true, why: `${ours} is beyond ${executed}: ${other}` };
  }
  return undefined;
}
