import type { Coordinates } from '../../model/coordinates.ts';
import type { SourceConnection } from '../../model/source-connection.ts';
import { connectionError } from '../server/connection-error.ts';
import { connect, listBinlogs } from '../server/server-info.ts';
import { BinlogDecoder } from './binlog-decoder.ts';
import type { BinlogHandler, TableMapEntry } from './binlog-handler.ts';
import { scanBinlog } from './binlog-scan.ts';
import { IGNORE_EVENTS } from './ignore-events.ts';
import type { DecodeText, TableMap } from './table-map.ts';
import { BufferedXaRows } from './xa-buffer.ts';

export interface XaRecoveryOptions<T> {
  connection: SourceConnection;
  isCaptured: BinlogHandler<T>['isCaptured'];
  tableMap: BinlogHandler<T>['tableMap'];
  decode: DecodeText;
  heartbeatMs: number;
  signal: AbortSignal;
}

/**
 * Searches the rows of an XA transaction that was prepared before `before`, in that binlog and then in older ones. This
 * is needed if a stream begins between XA PREPARE and XA COMMIT, for example with `start: now`.
 */
export async function findPreparedXa<T>(
  xid: string,
  before: Coordinates,
  options: XaRecoveryOptions<T>,
): Promise<BufferedXaRows<TableMapEntry<T>> | undefined> {
  const files = await binlogFiles(options.connection);
  for (const file of files.slice(0, files.indexOf(before.file) + 1).reverse()) {
    const decoder = await scanFile(file, file === before.file ? before.position : Number.POSITIVE_INFINITY, options);
    options.signal.throwIfAborted();
    const found = decoder.takePreparedXa(xid);
    if (found !== undefined) return resolveTables(found, options.tableMap);
  }
  return undefined;
}

/** A table version of the older binlog, whose columns are not resolved yet. */
interface UnresolvedTable {
  map: TableMap;
  at: Coordinates;
}

/** Resolves only the tables that the found transaction changes; the scan itself resolves none. */
async function resolveTables<T>(
  found: BufferedXaRows<TableMapEntry<UnresolvedTable>>,
  tableMap: XaRecoveryOptions<T>['tableMap'],
): Promise<BufferedXaRows<TableMapEntry<T>>> {
  const handles = new Map<UnresolvedTable, T>();
  const resolved = new BufferedXaRows<TableMapEntry<T>>();
  for (const { table, rows } of found.events) {
    const unresolved = table.handle as UnresolvedTable;
    if (!handles.has(unresolved)) handles.set(unresolved, await tableMap(unresolved.map, unresolved.at));
    resolved.events.push({ table: { ...table, handle: handles.get(unresolved) }, rows });
  }
  return resolved;
}

async function binlogFiles(options: SourceConnection): Promise<string[]> {
  const connection = await connect(options);
  try {
    return (await listBinlogs(connection)).map(({ file }) => file);
  } catch (error) {
    throw connectionError(error, options);
  } finally {
    connection.destroy();
  }
}

/** Returns a decoder that has read the file up to `end`. */
function scanFile<T>(
  file: string,
  end: number,
  { connection, isCaptured, decode, heartbeatMs, signal }: XaRecoveryOptions<T>,
): Promise<BinlogDecoder<UnresolvedTable>> {
  return scanBinlog<UnresolvedTable>({
    connection,
    from: { file, position: 4 },
    heartbeatMs,
    createDecoder: (checksum) =>
      new BinlogDecoder<UnresolvedTable>(
        { ...IGNORE_EVENTS, isCaptured, tableMap: (map, at) => ({ map, at }) },
        decode,
        checksum,
        { findPreparedXa: async () => new BufferedXaRows(), ignoreStatementDml: true },
      ),
    isDone: (at) => at.file !== file || at.position >= end,
    signal,
  });
}
