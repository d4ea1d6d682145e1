import { type Connection, createConnection } from 'mysql2/promise';
import { BinlogClient } from '../../src/source/binlog/binlog-client.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import type { Shape } from './shapes.ts';

export interface Captured {
  /** The received packets: a status byte, then one event. */
  packets: Buffer[];
  checksum: boolean;
  bytes: number;
}

const SCHEMA = 'bench';

/** Creates the table of a shape and fills it, in transactions of one row or of many rows. */
export async function fill(client: Connection, shape: Shape): Promise<void> {
  await client.query(
    `DROP DATABASE IF EXISTS ${SCHEMA}; CREATE DATABASE ${SCHEMA}; USE ${SCHEMA}; CREATE TABLE t ${shape.ddl}`,
  );
  await client.query('SET SESSION cte_max_recursion_depth = 10000000');
  await client.query(
    `CREATE TEMPORARY TABLE numbers (n INT PRIMARY KEY)
       WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < ${shape.rows}) SELECT n FROM r`,
  );
  if (shape.oneRowTransactions) return fillByRow(client, shape);
  for (let from = 1; from <= shape.rows; from += ROWS_PER_TRANSACTION) {
    await client.query(
      `INSERT INTO t SELECT ${shape.row} FROM numbers WHERE n BETWEEN ${from} AND ${from + ROWS_PER_TRANSACTION - 1}`,
    );
  }
}

const ROWS_PER_TRANSACTION = 20_000;

/** Inserts each row in its own transaction. A procedure on the server saves the round trips of a client. */
async function fillByRow(client: Connection, shape: Shape): Promise<void> {
  await client.query('SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 0');
  await client.query(`CREATE PROCEDURE each_row() BEGIN
    DECLARE n INT DEFAULT 1;
    WHILE n <= ${shape.rows} DO INSERT INTO t SELECT ${shape.row}; SET n = n + 1; END WHILE; END`);
  await client.query('CALL each_row()');
}

/** Fills a table of the shape on the server and reads the binlog events of that into memory. */
export async function capture(
  connection: { host: string; port: number; user: string },
  shape: Shape,
): Promise<Captured> {
  const client = await createConnection({ ...connection, multipleStatements: true });
  const start = await readServerInfo(connection);
  await fill(client, shape);
  const { end } = await readServerInfo(connection);
  client.destroy();

  const packets: Buffer[] = [];
  let checksum = false;
  let bytes = 0;
  const done = new AbortController();
  await new BinlogClient({
    connection,
    serverId: 'auto',
    from: { coordinates: start.end },
    heartbeatMs: 5_000,
    onStart: (on) => {
      checksum = on;
    },
    onEvent(buffer, from, to) {
      packets.push(Buffer.from(buffer.subarray(from - 1, to)));
      bytes += to - from;
      if (buffer.readUInt32LE(from + 13) >= end.position && buffer[from + 4] !== 4) done.abort();
    },
    signal: done.signal,
  }).follow();
  return { packets, checksum, bytes };
}
