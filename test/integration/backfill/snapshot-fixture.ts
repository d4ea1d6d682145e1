import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { PACKET_HEADER_LENGTH, type Processed, type RowChunk } from '../../../src/backfill/read/row-chunk.ts';
import { RowCollector } from '../../../src/backfill/read/row-collector.ts';
import type { ReadSession } from '../../../src/backfill/read/session.ts';
import { SnapshotConnection } from '../../../src/backfill/read/snapshot-connection.ts';
import type { SnapshotConnectionOptions } from '../../../src/backfill/read/snapshot-options.ts';
import type { TableReader } from '../../../src/backfill/read/table-reader.ts';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import type { Random } from '../../../src/local/demo/random.ts';
import type { KeyRange } from '../../../src/model/key-range.ts';
import { readServerInfo, type ServerInfo } from '../../../src/source/server/server-info.ts';
import type { KeyCase } from './key-types.ts';

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
  server: Partial<ServerInfo> = {},
): Promise<SnapshotConnection> {
  const connection = sourceConnection({ url });
  return SnapshotConnection.open({
    connection,
    server: { ...(await readServerInfo(connection)), ...server },
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

/** Creates the table with random rows. Returns its rows in the order of the server. */
export async function createKeyTable(
  url: string,
  table: string,
  keyCase: KeyCase,
  count: number,
  random: Random,
): Promise<number[]> {
  const { columns, key, options = '', row } = keyCase;
  const rows = Array.from({ length: count }, (_, n) => `(${[n, ...row(random)].join(',')})`);
  const isGenerated = key === '';
  const names = ['n', ...[...columns.matchAll(/(?:^|, )(\w+) [A-Z]/g)].map((match) => match[1])];
  const found = await query(
    url,
    `DROP TABLE IF EXISTS ${table}`,
    "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
    ...(isGenerated ? ['SET SESSION sql_generate_invisible_primary_key = 1'] : []),
    `CREATE TABLE ${table} (n INT NOT NULL, ${columns}${isGenerated ? '' : `, PRIMARY KEY (${key})`}) ENGINE=InnoDB ROW_FORMAT=DYNAMIC ${options}`,
    `INSERT IGNORE INTO ${table} (${names.join(',')}) VALUES ${rows.join(',')}`,
    `SELECT n FROM ${table} ORDER BY ${isGenerated ? 'my_row_id' : key.replace(/\(\d+\)/g, '')}`,
  );
  return found.map(([n]) => Number(n));
}

/** The first column of each row, an INT NOT NULL; the columns before it have `before` bytes. */
export function firstColumn({ count, bytes, ends }: RowChunk, columns: number, before = 0): number[] {
  const bitmap = (columns + 9) >> 3;
  return Array.from({ length: count }, (_, i) => {
    const from = (i === 0 ? 0 : (ends[i - 1] as number)) + PACKET_HEADER_LENGTH;
    return bytes.readInt32LE(from + 1 + bitmap + before);
  });
}

/** What EXPLAIN says of a chunk, and how many rows the server touches to return it. */
export async function readPlan(
  session: ReadSession,
  reader: TableReader,
  range: KeyRange,
  limit: number,
): Promise<{ explain: string; touched: number }> {
  const run = async (sql: string): Promise<string> => {
    const collector = new RowCollector();
    await session.execute(await session.prepare(sql), reader.parameters(range, limit), collector, () => {});
    return collector.rows().bytes.toString('latin1');
  };
  const reads = async (): Promise<number> =>
    (await session.query("SHOW SESSION STATUS LIKE 'Handler_read%'")).reduce((sum, [, n]) => sum + Number(n), 0);
  const sql = reader.rowsSql(range);
  const explain = await run(`EXPLAIN FORMAT=TRADITIONAL ${sql}`);
  await run(sql);
  const idle = -(await reads()) + (await reads());
  const before = await reads();
  await run(sql);
  return { explain, touched: (await reads()) - before - idle };
}
