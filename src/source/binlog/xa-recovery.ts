import type { ConnectionOptions } from 'mysql2/promise';
import type { Coordinates } from '../../model/coordinates.ts';
import { connectionError } from '../server/connection-error.ts';
import { connect, listBinlogs } from '../server/server-info.ts';
import { BinlogStream } from './binlog-client.ts';
import { type BinlogHandler, BinlogReader, type MappedTable, type Steps } from './binlog-decoder.ts';
import type { DecodeText, TableMap } from './table-map.ts';
import { ParkedRows } from './xa-buffer.ts';

export interface PreparedSearch<T> {
  connection: ConnectionOptions;
  captures: BinlogHandler<T>['captures'];
  table: BinlogHandler<T>['table'];
  decode: DecodeText;
  heartbeatMs: number;
  signal: AbortSignal;
}

/**
 * Looks for the rows of an XA transaction that was prepared before `before`, in the binlogs from there backwards. It
 * happens where a stream begins between XA PREPARE and XA COMMIT, as `start: now` may.
 */
export async function findPrepared<T>(
  xid: string,
  before: Coordinates,
  search: PreparedSearch<T>,
): Promise<ParkedRows<MappedTable<T>> | undefined> {
  const files = await binlogs(search.connection);
  for (const file of files.slice(0, files.indexOf(before.file) + 1).reverse()) {
    const reader = await readFile(file, file === before.file ? before.position : Number.POSITIVE_INFINITY, search);
    search.signal.throwIfAborted();
    const found = reader.takePrepared(xid);
    if (found !== undefined) return withTables(found, search.table);
  }
  return undefined;
}

/** A table version as it stood in the older binlog. */
interface OlderTable {
  map: TableMap;
  at: Coordinates;
}

/** Only now is it known which tables matter. */
async function withTables<T>(
  found: ParkedRows<MappedTable<OlderTable>>,
  table: PreparedSearch<T>['table'],
): Promise<ParkedRows<MappedTable<T>>> {
  const made = new Map<OlderTable, T>();
  const parked = new ParkedRows<MappedTable<T>>();
  for (const { table: mapped, rows } of found.events) {
    const older = mapped.captured as OlderTable;
    if (!made.has(older)) made.set(older, await table(older.map, older.at));
    parked.events.push({ table: { ...mapped, captured: made.get(older) }, rows });
  }
  return parked;
}

async function binlogs(options: ConnectionOptions): Promise<string[]> {
  const connection = await connect(options);
  try {
    return await listBinlogs(connection);
  } catch (error) {
    throw connectionError(error, options);
  } finally {
    connection.destroy();
  }
}

/** A reader that has read the file up to `end`. */
async function readFile<T>(file: string, end: number, search: PreparedSearch<T>): Promise<BinlogReader<OlderTable>> {
  const { connection, captures, decode, heartbeatMs, signal } = search;
  const done = new AbortController();
  const nothing = (): void => {};
  const make = (checksum: boolean): BinlogReader<OlderTable> =>
    new BinlogReader<OlderTable>(
      {
        captures,
        table: (map, at) => ({ map, at }),
        rows: nothing,
        statement: nothing,
        truncate: nothing,
        commit: nothing,
        rollback: nothing,
        savepoint: nothing,
        rollbackTo: nothing,
        prepared: nothing,
        previous: nothing,
        idle: nothing,
      },
      decode,
      checksum,
      { findPrepared: async () => new ParkedRows(), passesStatements: true },
    );
  let reader = make(false);
  function* toTheEnd(steps: Steps): Steps {
    yield* steps;
    stopAtEnd();
  }
  const stopAtEnd = (): void => {
    const at = reader.coordinates;
    if (at.file !== file || at.position >= end) done.abort();
  };
  const stream = new BinlogStream({
    connection,
    serverId: 'auto',
    from: { coordinates: { file, position: 4 } },
    heartbeatMs,
    onStart: (checksum) => {
      reader = make(checksum);
    },
    onEvent: (bytes, from, to) => {
      const steps = done.signal.aborted ? undefined : reader.read(bytes, from, to);
      if (steps !== undefined) return toTheEnd(steps);
      stopAtEnd();
      return undefined;
    },
    signal: AbortSignal.any([signal, done.signal]),
  });
  await stream.follow();
  return reader;
}
