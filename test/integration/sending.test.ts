import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { listObjects } from '../../src/lake/objects.ts';
import type { CallLogEntry } from '../../src/local/firehose/call-log.ts';
import { type LocalFirehose, startLocalFirehose } from '../../src/local/firehose/server.ts';
import { FirehoseSink } from '../../src/sinks/firehose/firehose-sink.ts';
import { Fixture, until } from './pipeline-fixture.ts';

/** The ways to send, end to end: what reached the local Firehose in each call. */

interface Call {
  stream: string | null;
  at: number;
  records: Buffer[];
}

let fixture: Fixture;
let firehose: LocalFirehose;
const calls: Call[] = [];
/** When the rows were written: no call can be before. */
let writtenAt = 0;

beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), `sending_${process.pid}`);
  await fixture.createSchema('CREATE TABLE a (id INT PRIMARY KEY, n TEXT)', 'CREATE TABLE b LIKE a');
  calls.length = 0;
  firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake: fixture.lake,
    autoCreateStream: () => ({ name: 'any', bufferSeconds: 0.5 }),
    onCall: ({ stream, records }: CallLogEntry) => {
      calls.push({ stream, at: performance.now(), records: records.map(({ data }) => Buffer.from(data)) });
    },
  });
});
afterEach(async () => {
  await firehose.close();
  await fixture.remove();
});

/** Runs the daemon with these keys of `firehose` over 300 rows of each table. */
async function send(options: string): Promise<void> {
  fixture.configure(firehose.endpoint);
  const file = join(fixture.directory, 'cdc.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('linger: 20ms', `linger: 20ms, ${options}`));
  const daemon = await fixture.run();
  writtenAt = performance.now();
  const rows = Array.from({ length: 300 }, (_, i) => `(${i}, REPEAT('x', 400))`).join();
  await fixture.query(
    `USE ${fixture.schema}`,
    `INSERT INTO a VALUES ${rows}`,
    `INSERT INTO b VALUES ${rows}`,
    'UPDATE a SET n = 1',
  );
  const end = async (): Promise<number> => JSON.parse(readFileSync(fixture.checkpoint, 'utf8')).position;
  const [[status]] = (await query('SHOW BINARY LOG STATUS')) as [{ Position: number }[]];
  await until(async () => (await end()) >= (status?.Position ?? Number.POSITIVE_INFINITY));
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ code: 0 });
}

async function query(sql: string): Promise<unknown> {
  const connection = await createConnection({ uri: fixture.url });
  try {
    return await connection.query(sql);
  } finally {
    connection.destroy();
  }
}

const records = () => calls.flatMap((call) => call.records);
const linesOf = (text: Buffer | string) => text.toString().split('\n').slice(0, -1);

test('aggregate: off makes each event a record of its own', async () => {
  await send('aggregate: off');
  expect(records()).toHaveLength(900);
  for (const record of records()) expect(linesOf(record)).toHaveLength(1);
});

test('compression: gzip makes each record a gzip member, and an object of them one gzip file', async () => {
  await send('compression: gzip');
  const lines = records().flatMap((record) => linesOf(gunzipSync(record)));
  expect(lines).toHaveLength(900);
  expect(records().reduce((sum, { length }) => sum + length, 0)).toBeLessThan(Buffer.byteLength(lines.join('\n')) / 8);
  await firehose.close();
  const [object] = await listObjects(fixture.lake, 'changes');
  expect(linesOf(gunzipSync(readFileSync(object?.path ?? '')))).toEqual(lines);
});

test('routes send the events of a table to its stream, and truncations too', async () => {
  const { schema } = fixture;
  await send(`routes: { "${schema}.b": other }`);
  const tables = (stream: string) =>
    new Set(
      calls
        .filter((call) => call.stream === stream)
        .flatMap((call) => call.records.flatMap(linesOf))
        .map((line) => JSON.parse(line).source.table),
    );
  expect(tables('changes')).toEqual(new Set(['a']));
  expect(tables('other')).toEqual(new Set(['b']));
});

test('a quota spaces the requests, and keeps each below the bytes of a second', async () => {
  await send('quota: { bytes: 300000 }');
  const sizes = calls.map((call) => call.records.reduce((sum, { length }) => sum + length, 0));
  expect(linesOf(Buffer.concat(records()))).toHaveLength(900);
  for (const size of sizes) expect(size).toBeLessThanOrEqual(300_000);
  // Measured from one moment before all of them: a call that is seen late makes none too early.
  calls.forEach((call, i) => {
    const earliest = (sizes.slice(0, i).reduce((sum, size) => sum + size, 0) / 300_000) * 1000;
    expect(call.at - writtenAt).toBeGreaterThan(earliest - 150);
  });
  expect(calls.length).toBeGreaterThan(1);
});

test.each([
  ['no answer', { fault: 'hang' }],
  ['half an answer and then silence', { fault: 'truncated', cut: 'stall' }],
] as const)('%s ends in time with an unknown outcome, and the next request is answered', async (_, rule) => {
  firehose.setFaults({ seed: 1, rules: [{ ...rule, times: 1 }] });
  const access = { region: undefined, endpoint: firehose.endpoint, timeoutMs: 300 };
  const sink = new FirehoseSink({ stream: 'any', ...access });
  const { signal } = new AbortController();
  const began = performance.now();
  const reason = 'TimeoutError: no complete response within 300 ms';
  expect(await sink.send([{ buffers: [Buffer.from('1\n')] }], signal)).toEqual([{ kind: 'unknown', reason }]);
  expect(performance.now() - began).toBeGreaterThanOrEqual(290);
  expect(await sink.send([{ buffers: [Buffer.from('2\n')] }], signal)).toEqual([{ kind: 'accepted' }]);
  sink.close();
});

test('a request that is aborted ends at once', async () => {
  firehose.setFaults({ seed: 1, rules: [{ fault: 'hang' }] });
  const sink = new FirehoseSink({ stream: 'any', region: undefined, endpoint: firehose.endpoint });
  const end = new AbortController();
  setTimeout(() => end.abort(), 100);
  // Not by its deadline.
  const reason = expect.stringContaining('AbortError');
  expect(await sink.send([{ buffers: [Buffer.from('1\n')] }], end.signal)).toEqual([{ kind: 'unknown', reason }]);
  sink.close();
});
