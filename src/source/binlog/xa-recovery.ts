import type { ConnectionOptions } from 'mysql2/promise';
import type { Coordinates } from '../../model/coordinates.ts';
import { connectionError } from '../server/connection-error.ts';
import { connect, listBinlogs } from '../server/server-info.ts';
import { BinlogClient } from './binlog-client.ts';
import { BinlogDecoder, type BinlogHandler, type EventContinuation, type TableMapEntry } from './binlog-decoder.ts';
import { IGNORE_EVENTS } from './ignore-events.ts';
import type { DecodeText, TableMap } from './table-map.ts';
import { BufferedXaRows } from './xa-buffer.ts';

export interface XaRecoveryOptions<T> {
  connection: ConnectionOptions;
  isCaptured: BinlogHandler<T>['isCaptured'];
  tableMap: BinlogHandler<T>['tableMap'];
  decode: DecodeText;
  heartbeatMs: number;
  signal: AbortSignal;
}

/**
 * Looks for the rows of an XA transaction that was prepared before `before`, in the binlogs from there backwards. It
 * happens where a stream begins between XA PREPARE and XA COMMIT, as `start: now` may.
 */
export async function findPreparedXa<T>(
  xid: string,
  before: Coordinates,
  search: XaRecoveryOptions<T>,
): Promise<BufferedXaRows<TableMapEntry<T>> | undefined> {
  const files = await binlogs(search.connection);
  for (const file of files.slice(0, files.indexOf(before.file) + 1).reverse()) {
    const reader = await scanBinlog(file, file === before.file ? before.position : Number.POSITIVE_INFINITY, search);
    search.signal.throwIfAborted();
    const found = reader.takePreparedXa(xid);
    if (found !== undefined) return resolveTables(found, search.tableMap);
  }
  return undefined;
}

/** A table version as it stood in the older binlog. */
interface UnresolvedTable {
  map: TableMap;
  at: Coordinates;
}

/** Only now is it known which tables matter. */
async function resolveTables<T>(
  found: BufferedXaRows<TableMapEntry<UnresolvedTable>>,
  table: XaRecoveryOptions<T>['tableMap'],
): Promise<BufferedXaRows<TableMapEntry<T>>> {
  const made = new Map<UnresolvedTable, T>();
  const parked = new BufferedXaRows<TableMapEntry<T>>();
  for (const { table: mapped, rows } of found.events) {
    const older = mapped.handle as UnresolvedTable;
    if (!made.has(older)) made.set(older, await table(older.map, older.at));
    parked.events.push({ table: { ...mapped, handle: made.get(older) }, rows });
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
async function scanBinlog<T>(
  file: string,
  end: number,
  search: XaRecoveryOptions<T>,
): Promise<BinlogDecoder<UnresolvedTable>> {
  const { connection, isCaptured, decode, heartbeatMs, signal } = search;
  const done = new AbortController();
  const make = (checksum: boolean): BinlogDecoder<UnresolvedTable> =>
    new BinlogDecoder<UnresolvedTable>(
      { ...IGNORE_EVENTS, isCaptured, tableMap: (map, at) => ({ map, at }) },
      decode,
      checksum,
      { findPreparedXa: async () => new BufferedXaRows(), ignoreStatementDml: true },
    );
  let reader = make(false);
  function* toTheEnd(steps: EventContinuation): EventContinuation {
    yield* steps;
    stopAtEnd();
  }
  const stopAtEnd = (): void => {
    const at = reader.coordinates;
    if (at.file !== file || at.position >= end) done.abort();
  };
  const stream = new BinlogClient({
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
