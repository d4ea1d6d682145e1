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

/**
 * Where to begin: at the checkpoint, if there is one and the server can go on from it, else where `start` says.
 * @param now seconds since 1970: the epoch that begins now, should one begin
 */
export function startPoint(
  start: string,
  saved: Checkpoint | undefined,
  server: ServerFacts,
  now: number = Math.floor(Date.now() / 1000),
): StartPoint {
  return saved === undefined ? firstStart(start, server, now) : resume(saved, server, now);
}

function firstStart(start: string, server: ServerFacts, epoch: number): StartPoint {
  const { executed, purged, end, oldest } = server;
  if (start === 'now') {
    return executed ? fromGtids(executed.clone(), end, epoch) : fromCoordinates(end, server, epoch);
  }
  if (start === 'earliest') {
    return purged ? fromGtids(purged.clone(), oldest, epoch) : fromCoordinates(oldest, server, epoch);
  }
  const coordinates = parseCoordinates(start);
  if (coordinates) return fromCoordinates(coordinates, server, epoch);
  const gtids = parseGtids(start, server);
  refuseGap(gtids, server, `source.start ${start}`);
  return fromGtids(gtids, oldest, epoch);
}

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
    refuseGap(gtids, server, 'the checkpoint');
    return { ...fromGtids(gtids, coordinates, epoch), memory };
  }
  if (moved) {
    throw new CdcError('the server is not the one that the checkpoint was made with', {
      exitCode: 4,
      why: `${saved.server.identity} before, ${server.identity} now, and no GTIDs to compare them by`,
      hint: 'connect to the old server; or move the checkpoint away, start again, and take a new snapshot',
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

function refuseGap(ours: GtidSet | MariadbPosition, { executed, purged }: ServerFacts, what: string): void {
  const remedy = 'move the checkpoint file away, start again (source.start says where), and take a new snapshot';
  if (ours instanceof GtidSet && executed instanceof GtidSet) {
    if (!executed.containsAll(ours)) {
      throw new CdcError(`${what} is ahead of the server`, {
        exitCode: 4,
        why: `the server has never executed ${ours.subtract(executed)}: it was restored, reset, or is another one`,
        hint: `connect to the server that has them; or ${remedy}`,
      });
    }
    const gap = purged?.subtract(ours);
    if (gap !== undefined && !gap.isEmpty) {
      throw new CdcError(`the server no longer has the binlog that follows ${what}`, {
        exitCode: 4,
        why: `purged and never delivered: ${gap}`,
        hint: `restore the purged binlogs; or ${remedy}`,
      });
    }
  }
  if (ours instanceof MariadbPosition && executed instanceof MariadbPosition && !executed.containsAll(ours)) {
    throw new CdcError(`${what} is ahead of the server`, {
      exitCode: 4,
      why: `${ours} is beyond ${executed}: the server was restored, reset, or is another one`,
      hint: `connect to the server that has it; or ${remedy}`,
    });
  }
}
