import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FirehoseClient, PutRecordBatchCommand, PutRecordCommand } from '@aws-sdk/client-firehose';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listObjects } from '../../src/lake/objects.ts';
import { seededRandom } from '../../src/local/demo/random.ts';
import { APP_EVENTS, SOURCES } from '../../src/local/demo/shop.ts';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';
import { type LocalFirehose, startLocalFirehose } from '../../src/local/firehose/server.ts';

/** docs/EVENT-PRODUCER.md: events of a program that is no database, and the report that its warehouse gives. */

const STREAM = 'app-events';
/** The query of the page, and its view of the objects in DuckDB. */
const [QUERY = '', VIEW = ''] = [
  ...readFileSync('docs/EVENT-PRODUCER.md', 'utf8').matchAll(/^```sql\n([\s\S]*?)^```/gm),
].map(([, sql]) => sql as string);
/** Half of the batches have records that Firehose refuses, at random. */
const REFUSALS: FaultPlan = { seed: 3, rules: [{ fault: 'partial', rate: 0.5, records: 0.3 }] };

interface AppEvent {
  event_id: string;
  event_type: string;
  source: string;
  revenue: number | null;
}

let directory: string;
let firehose: LocalFirehose;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-producer-'));
  firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake: join(directory, 'lake'),
    streams: [{ name: STREAM, gzip: true, bufferSeconds: 1 }],
    faults: REFUSALS,
  });
});
afterEach(async () => {
  await firehose.close();
  rmSync(directory, { recursive: true });
});

function appEvents(count: number): AppEvent[] {
  const random = seededRandom(7);
  return Array.from({ length: count }, (_, n) => {
    const event_type = random.pick(APP_EVENTS);
    const revenue = event_type === 'SUBSCRIBE' ? random.below(5_000) / 100 : null;
    return { event_id: `e-${n}`, person_id: n % 97, event_type, source: random.pick(SOURCES), revenue, ...at(n) };
  });
}

const at = (n: number) => ({ event_timestamp: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, n)).toISOString() });

/** What the page's query gives over everything that has landed. */
async function reported(): Promise<string[][]> {
  await firehose.close(); // delivers every buffer
  const connection = await (await DuckDBInstance.create()).connect();
  await connection.run(VIEW.replace("'lake/", `'${directory}/lake/`));
  const rows = (await connection.runAndReadAll(QUERY)).getRowsJson();
  return rows.map((row) => row.map(String));
}

/** The same by hand, in cents. */
function expectedReport(events: readonly AppEvent[]): string[][] {
  const bySource = new Map<string, { count: number; cents: number }>();
  for (const { event_type, source, revenue } of events) {
    if (event_type !== 'SUBSCRIBE') continue;
    const { count, cents } = bySource.get(source) ?? { count: 0, cents: 0 };
    bySource.set(source, { count: count + 1, cents: cents + Math.round((revenue ?? 0) * 100) });
  }
  return [...bySource]
    .sort(([a, one], [b, other]) => other.cents - one.cents || (a < b ? -1 : 1))
    .map(([source, { count, cents }]) => [source, String(count), (cents / 100).toFixed(2)]);
}

const dataOf = (event: AppEvent) => ({ Data: Buffer.from(`${JSON.stringify(event)}\n`) });

test('PutRecord and PutRecordBatch of the SDK land events in S3, and the query reports revenue by source', async () => {
  const client = new FirehoseClient({
    region: 'us-east-1',
    endpoint: firehose.endpoint,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const events = appEvents(1_500);
  const [first, ...others] = events as [AppEvent, ...AppEvent[]];
  await client.send(new PutRecordCommand({ DeliveryStreamName: STREAM, Record: dataOf(first) }));
  // A producer that was not sure sends a part again.
  let waiting = [...others, ...others.slice(0, 200)];
  let refused = 0;
  while (waiting.length > 0) {
    const batch = waiting.splice(0, 500);
    const { RequestResponses, FailedPutCount } = await client.send(
      new PutRecordBatchCommand({ DeliveryStreamName: STREAM, Records: batch.map(dataOf) }),
    );
    const again = batch.filter((_, i) => RequestResponses?.[i]?.ErrorCode !== undefined);
    expect(again.length).toBe(FailedPutCount);
    refused += again.length;
    waiting = [...again, ...waiting];
  }
  client.destroy();
  expect(refused).toBeGreaterThan(0);
  const report = await reported();
  expect(report).toEqual(expectedReport(events));
  expect(report.map(([source]) => source).sort()).toEqual([...SOURCES].sort());
  expect((await listObjects(join(directory, 'lake'), STREAM)).every(({ path }) => path.endsWith('.gz'))).toBe(true);
});

const hasAwsCli = spawnSync('aws', ['--version']).status === 0;

test.skipIf(!hasAwsCli)('the script sends the same with the AWS CLI, and prints what was accepted', async () => {
  const child = spawn('sh', ['docs/examples/event-producer.sh', STREAM, '150'], {
    env: {
      ...process.env,
      ENDPOINT: firehose.endpoint,
      SEED: '1',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      AWS_DEFAULT_REGION: 'us-east-1',
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const [code] = await once(child, 'close');
  expect(code, stderr).toBe(0);
  const sent = stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AppEvent);
  expect(new Set(sent.map(({ event_id }) => event_id)).size).toBe(150);
  expect(new Set(sent.map(({ event_type }) => event_type))).toEqual(new Set(APP_EVENTS));
  expect(await reported()).toEqual(expectedReport(sent));
});
