import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { PACKET_HEADER_LENGTH, type Processed, type RowChunk } from '../../../src/backfill/read/row-chunk.ts';
import { SnapshotConnection, type SnapshotConnectionOptions } from '../../../src/backfill/read/snapshot-connection.ts';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import { readServerInfo } from '../../../src/source/server/server-info.ts';

/** Statements run in one session of root, rows as arrays. */
export async function query(url: string, ...statements: string[]): Promise<unknown[][]> {
  const connection = await createConnection({
    uri: url,
    charset: 'utf8mb4',
    rowsAsArray: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  try {
    let rows: unknown[][] = [];
    for (const sql of statements) rows = (await connection.query<RowDataPacket[]>(sql))[0] as unknown as unknown[][];
    return rows;
  } finally {
    connection.destroy();
  }
}

export async function openSnapshot(
  url: string,
  options: Partial<SnapshotConnectionOptions> = {},
): Promise<SnapshotConnection> {
  const connection = sourceConnection({ url });
  return SnapshotConnection.open({
    connection,
    server: await readServerInfo(connection),
    isReplica: false,
    signal: new AbortController().signal,
    ...options,
  });
}

/** What a stream that is at the end of the binlog has processed. */
export async function processedNow(url: string): Promise<Processed> {
  const { executed, end } = await readServerInfo(sourceConnection({ url }));
  return { gtids: executed, coordinates: end };
}

/** The first column of each row, an INT NOT NULL. */
export function firstColumn({ count, bytes, ends }: RowChunk, columns: number): number[] {
  const bitmap = (columns + 9) >> 3;
  return Array.from({ length: count }, (_, i) => {
    const from = (i === 0 ? 0 : (ends[i - 1] as number)) + PACKET_HEADER_LENGTH;
    return bytes.readInt32LE(from + 1 + bitmap);
  });
}
