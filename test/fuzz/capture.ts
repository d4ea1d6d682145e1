import { createConnection } from 'mysql2/promise';
import { BinlogClient } from '../../src/source/binlog/binlog-client.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';

const FORMAT_DESCRIPTION = 15;
/** A transaction begins with one of them. */
export const GTID_EVENT_TYPES: readonly number[] = [33, 34, 42, 162];

/** Runs the statements and returns their binlog events without checksums. */
export async function captureEvents(url: string, schema: string, statements: readonly string[]): Promise<Buffer[]> {
  const client = await createConnection({ uri: url });
  const { hostname: host, port, username: user } = new URL(url);
  const connection = { host, port: Number(port), user };
  const start = await readServerInfo(connection);
  for (const sql of [`CREATE DATABASE ${schema}`, `USE ${schema}`, ...statements, `DROP DATABASE ${schema}`]) {
    await client.query(sql);
  }
  client.destroy();
  const events: Buffer[] = [];
  const done = new AbortController();
  let checksum = false;
  await new BinlogClient({
    connection,
    serverId: 'auto',
    from: { coordinates: start.end },
    heartbeatMs: 5_000,
    onStart: (on) => {
      checksum = on;
    },
    onEvent(bytes, from, to) {
      const event = Buffer.from(bytes.subarray(from, checksum ? to - 4 : to));
      event.writeUInt32LE(event.length, 9);
      if (event[4] !== FORMAT_DESCRIPTION) events.push(event);
      if (event.includes(`DROP DATABASE ${schema}`)) done.abort();
      return undefined;
    },
    signal: done.signal,
  }).follow();
  return events.filter((event) => !event.includes('DATABASE'));
}
