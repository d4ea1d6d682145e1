import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createConnection } from 'mysql2';
import { PACKET_HEADER_LENGTH, type RowChunk } from '../../src/backfill/read/row-chunk.ts';
import { SnapshotConnection } from '../../src/backfill/read/snapshot-connection.ts';
import type { TableReader } from '../../src/backfill/read/table-reader.ts';
import { ChunkSize } from '../../src/backfill/work/chunk-size.ts';
import { ByteWriter } from '../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../src/codec/event-writer.ts';
import { configSchema } from '../../src/config/schema.ts';
import { fileNumber } from '../../src/model/coordinates.ts';
import type { Key } from '../../src/model/key-range.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';

/**
 * One contender of the benchmark of the backfill, in a process of its own: `backfill-reader.js NAME PORT TABLE`. It
 * reads all rows of the table over one connection, and prints a line of JSON.
 */

export interface ReaderResult {
  rows: number;
  seconds: number;
  cpuSeconds: number;
  /** What was read, or what was made of it. */
  bytes: number;
}

type Counted = Pick<ReaderResult, 'rows' | 'bytes'>;

const SCHEMA = 'bench';
const CHUNK_TIME_MS = 500;

const READERS = {
  /** The SELECT as bytes of the text protocol, which nobody looks at: no client program is faster. */
  bytes: readBytes,
  mysql2: (port: number, table: string) => readObjects(port, table, {}),
  'mysql2-date-strings': (port: number, table: string) => readObjects(port, table, { dateStrings: true }),
  /** The chunks of a backfill. */
  chunks: (port: number, table: string) => readChunks(port, table, false),
  /** The chunks of a backfill, and the event of each row. */
  events: (port: number, table: string) => readChunks(port, table, true),
};
export type ReaderName = keyof typeof READERS;

/** The packet that ends the rows: EOF, or OK if the client wants no EOF. It is the last one, so nothing follows. */
const END_MAX_BYTES = 11;
const isEndOfRows = (tail: Buffer, length: number): boolean => {
  const at = tail.length - length - 4;
  return at >= 0 && tail.readUIntLE(at, 3) === length && tail[at + 4] === 0xfe;
};

async function readBytes(port: number, table: string): Promise<() => Promise<Counted>> {
  const connection = createConnection({ port, user: 'root' });
  await once(connection, 'connect');
  const { stream } = connection as unknown as { stream: Socket };
  return async () => {
    connection.query(`SELECT * FROM ${SCHEMA}.${table}`);
    // The statement is sent. The driver does not see the answer.
    stream.removeAllListeners('data');
    let bytes = 0;
    let tail: Buffer = Buffer.alloc(0);
    const ended = new Promise<void>((resolve) => {
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        tail = Buffer.concat([tail, chunk.subarray(-END_MAX_BYTES)]).subarray(-END_MAX_BYTES);
        if (isEndOfRows(tail, 5) || isEndOfRows(tail, 7)) resolve();
      });
    });
    await ended;
    connection.destroy();
    return { rows: 0, bytes };
  };
}

async function readObjects(
  port: number,
  table: string,
  options: { dateStrings?: boolean },
): Promise<() => Promise<Counted>> {
  const connection = createConnection({ port, user: 'root', ...options });
  await once(connection, 'connect');
  return async () => {
    let rows = 0;
    let bytes = 0;
    const query = connection.query({ sql: `SELECT * FROM ${SCHEMA}.${table}`, rowsAsArray: true });
    query.on('result', (row) => {
      rows++;
      bytes += JSON.stringify(row).length;
    });
    await new Promise<void>((resolve, reject) => query.on('end', resolve).on('error', reject));
    connection.destroy();
    return { rows, bytes };
  };
}

async function readChunks(port: number, name: string, isEncoded: boolean): Promise<() => Promise<Counted>> {
  const connection = { host: '127.0.0.1', port, user: 'root' };
  const server = await readServerInfo(connection);
  const signal = new AbortController().signal;
  const snapshot = await SnapshotConnection.open({ connection, server, isReplica: false, signal });
  const table = await snapshot.describe(SCHEMA, name);
  if (table === undefined) throw new Error(`no table ${name}`);
  const reader = await snapshot.use(table, {});
  const { values } = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } });
  const { charsets } = server;
  const writer = new EventWriter(
    { schema: SCHEMA, name, columns: table.columns, key: table.primaryKey },
    { format: 'debezium', name: 'bench', epoch: 0, flatPrefix: '_', values, charsets },
    new ByteWriter(),
    'row-packet',
  );
  const point = { ...server.end, fileNumber: fileNumber(server.end.file), readAt: Date.now() };
  let rows = 0;
  let bytes = 0;
  const encode = ({ bytes: packets, ends, count }: RowChunk): void => {
    writer.beginSnapshot(point, Date.now());
    for (let i = 0, from = 0; i < count; from = ends[i++] as number) {
      writer.writeSnapshotRow(packets, from + PACKET_HEADER_LENGTH, ends[i] as number, rows + i, ({ from, to }) => {
        bytes += to - from;
      });
    }
    writer.endSnapshot();
  };
  return async () => {
    for await (const chunk of chunksOf(reader, server)) {
      if (isEncoded) encode(chunk);
      else bytes += chunk.bytes.length;
      rows += chunk.count;
    }
    await snapshot.close();
    return { rows, bytes };
  };
}

async function* chunksOf(
  reader: TableReader,
  { end, executed }: Awaited<ReturnType<typeof readServerInfo>>,
): AsyncGenerator<RowChunk> {
  const size = new ChunkSize(CHUNK_TIME_MS);
  let after: Key | null = null;
  for (let isLast = false; !isLast; ) {
    const chunk = await reader.read(
      { after, upTo: null },
      { gtids: executed, coordinates: end },
      size.limits(undefined),
    );
    size.adapt(chunk);
    yield chunk;
    after = chunk.lastKey ?? after;
    isLast = chunk.isLast;
  }
}

const [name = '', port = '', table = ''] = process.argv.slice(2);
const run = await READERS[name as ReaderName](Number(port), table);
const before = process.cpuUsage();
const start = performance.now();
const counted = await run();
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
const result: ReaderResult = { ...counted, seconds, cpuSeconds: (user + system) / 1e6 };
process.stdout.write(`${JSON.stringify(result)}\n`);
