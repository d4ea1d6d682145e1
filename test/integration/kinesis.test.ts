import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateStreamCommand } from '@aws-sdk/client-kinesis';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { deaggregate } from '../kinesis/deaggregate.ts';
import type { KinesisFault } from '../kinesis/fault-proxy.ts';
import { type LocalKinesis, startLocalKinesis } from '../kinesis/local-kinesis.ts';
import { readStream } from '../kinesis/read-stream.ts';
import { cdc, Fixture, startCdc, until } from './pipeline-fixture.ts';

const STREAM = 'changes';
const TABLES = [
  'CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR(100), n INT)',
  'CREATE TABLE note (at DATETIME(3), text VARCHAR(100))',
];

let fixture: Fixture;
let kinesis: LocalKinesis;
beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), `kinesis_${process.pid}`);
  await fixture.createSchema(...TABLES);
  kinesis = await startLocalKinesis();
});
afterEach(async () => {
  await fixture.remove();
  await kinesis.close();
});

/** @param options YAML text of further keys of `kinesis` */
function configure(options = '', stream = STREAM): void {
  writeFileSync(
    join(fixture.directory, 'cdc.yaml'),
    `name: shop
source: { url: "${fixture.url}" }
tables: ["${fixture.schema}.*"]
kinesis: { stream: ${stream}, endpoint: "${kinesis.endpoint}", linger: 20ms${options} }
checkpoint: ${fixture.store}
`,
  );
}

interface LogEvent {
  key: { id?: number } | null;
  op: string;
  seq: string;
  source: { table: string };
}

/** The events of the stream, as a consumer reads them. */
const eventsInOrder = async (): Promise<LogEvent[]> =>
  (await readStream(kinesis.client, STREAM)).flatMap(({ data }) =>
    deaggregate(data).map((user) => JSON.parse(user.data.toString())),
  );

const rowOf = ({ key, source }: LogEvent): string => `${source.table} ${JSON.stringify(key)}`;

/** Events that are older than one before them of the same row. */
function reordered(events: readonly LogEvent[]): string[] {
  const newest = new Map<string, string>();
  return events.flatMap((event) => {
    const { seq } = event;
    const row = rowOf(event);
    const last = newest.get(row) ?? '';
    if (seq >= last) newest.set(row, seq);
    return seq < last ? [`${row}: ${seq} after ${last}`] : [];
  });
}

/** The first delivery of each event. */
function firstDeliveries(events: readonly LogEvent[]): LogEvent[] {
  const seen = new Set<string>();
  return events.filter(({ seq }) => seen.size < seen.add(seq).size);
}

/** The `seq` of the last event of each row. */
const lastOfEachRow = (events: readonly LogEvent[]): Map<string, string> =>
  new Map(events.map((event) => [rowOf(event), event.seq]));

/** Aggregated records need few calls, so every other one has a fault. */
const FAULTS: (KinesisFault | undefined)[] = [
  'response lost',
  undefined,
  'second record throttled',
  { internalFailure: 0 },
  undefined,
  'request throttled',
  { throttledShard: 'shardId-000000000001' },
  undefined,
  'token expired',
  undefined,
];

describe.each([
  ['one event a record', '', false],
  // A record with several changes of a row is repeated whole.
  ['aggregated records', ', aggregate: { max_events: 100, max_bytes: 20KiB }', true],
])('with %s', (_, options, repeatsOlder) => {
  test('a stream that is the source of Firehose lands in the lake as it is in MySQL, and keeps each row in order', async () => {
    await kinesis.createStream(STREAM, 2);
    configure(options);
    kinesis.setFault((call) => FAULTS[call % FAULTS.length]);
    const firehose = startCdc(
      fixture.directory,
      ...['firehose', '--listen', '127.0.0.1:0', '--lake', 'lake', '--buffer-seconds', '1'],
      ...['--kinesis-stream', STREAM, '--kinesis-endpoint', kinesis.endpoint],
    );
    const daemon = await fixture.run();
    const change = async (round: number): Promise<void> => {
      const rows = Array.from({ length: 300 }, (_, i) => `(${round * 100 + i}, 'row ${round}', ${round})`);
      await fixture.query(
        `USE ${fixture.schema}`,
        `INSERT INTO item VALUES ${rows.join()} ON DUPLICATE KEY UPDATE n = n + 1, name = VALUES(name)`,
        `UPDATE item SET n = n + 1 WHERE id % 3 = 0`,
        `DELETE FROM item WHERE id % 7 = ${round}`,
        `INSERT INTO note VALUES (NOW(3), 'round ${round}'), (NOW(3), 'again')`,
      );
    };
    // Resharding under way.
    await change(1);
    await Promise.all([change(2), kinesis.split(STREAM, 'shardId-000000000000')]);
    await Promise.all([change(3), kinesis.merge(STREAM, 'shardId-000000000003', 'shardId-000000000001')]);
    await change(4);
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
    // The marker can be read before events of other shards that are older.
    const events = await eventsInOrder();
    await until(async () => {
      const landed = new Set((await fixture.landed()).map(({ seq }) => seq));
      return events.every(({ seq }) => landed.has(seq));
    });
    firehose.child.kill('SIGTERM');
    expect(await firehose.ended).toMatchObject({ code: 0 });

    expect(await fixture.compare('item')).toMatchObject({ equal: true, conflicts: 0 });
    const first = firstDeliveries(events);
    expect(first.length).toBeLessThan(events.length);
    expect(reordered(first)).toEqual([]);
    expect(lastOfEachRow(events)).toEqual(lastOfEachRow(first));
    if (!repeatsOlder) expect(reordered(events)).toEqual([]);
    const notes = new Set(events.filter(({ source }) => source.table === 'note').map(({ seq }) => seq));
    expect(notes.size).toBe(8);
  });
});

describe('cdc check', () => {
  const check = async () => {
    const { code, stdout, stderr } = await cdc(fixture.directory, 'check');
    return { code, output: stdout + stderr };
  };

  test('finds nothing wrong with a local stream', async () => {
    await kinesis.createStream(STREAM, 1);
    configure();
    expect(await check()).toMatchObject({ code: 0, output: expect.not.stringMatching(/stream|shard/) });
  });

  test('names a stream that is missing, what it can have meant, and the key', async () => {
    await kinesis.createStream('shop-changes', 1);
    configure('', 'shop-chnages');
    const { code, output } = await check();
    expect(code).toBe(3);
    expect(output).toContain('there is no stream shop-chnages');
    expect(output).toContain('did you mean shop-changes?');
    expect(output).toContain('kinesis.stream');
  });

  test('waits for no stream that is being created', async () => {
    await kinesis.close();
    kinesis = await startLocalKinesis(undefined, { createStreamMs: 600_000 });
    await kinesis.client.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 1 }));
    configure();
    expect(await check()).toMatchObject({
      code: 3,
      output: expect.stringContaining(`the stream ${STREAM} is CREATING`),
    });
  });
});

test('a stream with too few shards delays the events and loses none', async () => {
  await kinesis.close();
  kinesis = await startLocalKinesis({ records: 100, bytes: 50_000 });
  await kinesis.createStream(STREAM, 1);
  // Its quota is lower than the configured one, so it throttles.
  configure(', quota: { records: 100000 }');
  const daemon = await fixture.run();
  const rows = Array.from({ length: 400 }, (_, id) => `(${id}, 'x', 0)`);
  await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES ${rows.join()}`);
  await until(() => new Set(kinesis.stored.map(({ partitionKey }) => partitionKey)).size === 400);
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ code: 0 });
  expect(kinesis.throttled()).toBeGreaterThan(0);
  expect(reordered(await eventsInOrder())).toEqual([]);
});

test('a stream that is deleted stops the daemon, which says what to check', async () => {
  configure('', 'gone');
  await kinesis.createStream('gone', 1);
  const daemon = await fixture.run();
  kinesis.setFault({ error: 'ResourceNotFoundException' });
  kinesis.describeWith({ StreamStatus: 'DELETING' });
  await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1, 'x', 0)`);
  const { code, stderr } = await daemon.ended;
  expect(code).toBe(1);
  expect(stderr).toContain('Kinesis rejected the events of the stream gone');
  expect(stderr).toContain('kinesis.stream');
});

test('an event over the size of a record is a dead letter, and those of other rows arrive', async () => {
  await kinesis.createStream(STREAM, 1);
  configure();
  await fixture.query(`USE ${fixture.schema}`, 'CREATE TABLE large (id INT PRIMARY KEY, doc LONGTEXT)');
  const daemon = await fixture.run();
  await fixture.query(
    `USE ${fixture.schema}`,
    `INSERT INTO large VALUES (1, REPEAT('x', 1100000))`,
    `INSERT INTO large VALUES (2, 'small')`,
  );
  await until(() => kinesis.stored.some(({ partitionKey }) => partitionKey.endsWith('.large{"id":2}')));
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ code: 0 });
  const { stdout } = await cdc(fixture.directory, 'dead-letter', 'list');
  expect(stdout).toContain('large');
});
