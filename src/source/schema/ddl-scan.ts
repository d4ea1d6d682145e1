import { inflateSync } from 'node:zlib';
import type { ConnectionOptions } from 'mysql2';
import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import { BinlogClient } from '../binlog/binlog-client.ts';
import { EventType, HEADER_LENGTH } from '../binlog/event-type.ts';
import { canAlter } from './table-schema-cache.ts';

/**
 * Finds the first statement between two positions of the binlog that can alter the table; undefined if there is none.
 * It reads every packet but inspects only statements.
 */
export async function findDdlFor(
  connection: ConnectionOptions,
  table: string,
  from: Coordinates,
  to: Coordinates,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!isBefore(from, to)) return undefined;
  const done = new AbortController();
  let file = from.file;
  let found: string | undefined;
  await new BinlogClient({
    connection,
    serverId: 'auto',
    from: { coordinates: from },
    heartbeatMs: 1_000,
    onStart: () => {},
    onEvent(bytes, start, end) {
      const type = bytes[start + 4];
      if (type === EventType.ROTATE)
        file = bytes.toString('utf8', start + HEADER_LENGTH + 8, end).replace(/(\.\d+).*$/s, '$1');
      else if (type === EventType.QUERY || type === EventType.MARIADB_QUERY_COMPRESSED) {
        const sql = statementText(bytes, start, end, type === EventType.MARIADB_QUERY_COMPRESSED);
        if (canAlter(sql, table)) found ??= sql;
      }
      const position = bytes.readUInt32LE(start + 13);
      const at = { file, position: type === EventType.ROTATE ? 4 : position };
      // The server sends a heartbeat only at the end of the binlog.
      if (found !== undefined || type === EventType.HEARTBEAT || (position > 0 && !isBefore(at, to))) done.abort();
      return undefined;
    },
    signal: AbortSignal.any([done.signal, signal]),
  }).follow();
  return found;
}

/** The text of a Query event. A checksum after it is harmless here. */
function statementText(bytes: Buffer, start: number, end: number, compressed: boolean): string {
  const body = start + HEADER_LENGTH;
  const schemaLength = bytes[body + 8] as number;
  const at = body + 13 + bytes.readUInt16LE(body + 11) + schemaLength + 1;
  if (!compressed) return bytes.toString('utf8', at, end);
  // MariaDB: a byte whose low three bits count the length bytes, then the length, then zlib (sql/log_event.cc).
  const header = 1 + ((bytes[at] as number) & 7);
  return inflateSync(bytes.subarray(at + header, end)).toString('utf8');
}
