import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { CreateStreamCommand } from '@aws-sdk/client-kinesis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type KinesisConfig, kinesis as kinesisSchema } from '../../../../src/config/kinesis-schema.ts';
import { KinesisSink } from '../../../../src/sinks/kinesis/kinesis-sink.ts';
import { openKinesisSinks } from '../../../../src/sinks/kinesis/open-sinks.ts';
import type { SinkRecord } from '../../../../src/sinks/sink.ts';
import { deaggregate } from '../../../kinesis/deaggregate.ts';
import type { KinesisFault } from '../../../kinesis/fault-proxy.ts';
import { type LocalKinesis, startLocalKinesis } from '../../../kinesis/local-kinesis.ts';
import { readStream } from '../../../kinesis/read-stream.ts';
import { eventsOf } from './streams.ts';

const STREAM = 'changes';
const { signal } = new AbortController();
const recordsOf = (keys: number): SinkRecord[] => [...eventsOf(keys, 1).values()].flat();

let kinesis: LocalKinesis;
let sink: KinesisSink;
beforeEach(async () => {
  kinesis = await startLocalKinesis();
  await kinesis.createStream(STREAM, 2);
  const connection = { region: undefined, endpoint: kinesis.endpoint, timeoutMs: 2_000 };
  sink = new KinesisSink({ ...connection, stream: STREAM, aggregate: 'off', quota: 'off' });
});
afterEach(async () => {
  sink.close();
  await kinesis.close();
});

test.each<[string, KinesisFault]>([
  ['an error of the service', { error: 'InternalFailure', status: 500 }],
  ['throttling', 'request throttled'],
  ['a connection that is cut', 'connection reset'],
  ['an answer that is lost', 'response lost'],
])('after %s the SDK sends nothing again behind the back of delivery', async (_, fault) => {
  kinesis.setFault(fault);
  await sink.send(recordsOf(3), signal);
  expect(kinesis.calls.get('PutRecords')).toBe(1);
});

describe('a request that is refused', () => {
  test.each([
    ['ProvisionedThroughputExceededException', 'throttled'],
    ['KMSThrottlingException', 'throttled'],
    ['ExpiredTokenException', 'throttled'],
    ['InternalFailureException', 'unknown'],
  ])('with %s is %s, and sent again', async (error, kind) => {
    kinesis.setFault((call) => (call === 0 ? { error } : undefined));
    expect((await sink.send(recordsOf(2), signal)).map((outcome) => outcome.kind)).toEqual([kind, kind]);
    expect(await sink.send(recordsOf(2), signal)).toEqual([{ kind: 'accepted' }, { kind: 'accepted' }]);
  });

  test.each([
    ['KMSDisabledException', /KMS key/],
    ['KMSAccessDeniedException', /KMS key/],
    ['KMSNotFoundException', /KMS key/],
    ['AccessDeniedException', /kinesis:PutRecords/],
    ['UnrecognizedClientException', /credentials/],
  ])('with %s stops the stream, and the hint says what to do', async (error, hint) => {
    kinesis.setFault({ error });
    // Local credentials do not change.
    await sink.send(recordsOf(1), signal);
    expect(await sink.send(recordsOf(1), signal)).toEqual([
      { kind: 'rejected', scope: 'stream', reason: expect.stringContaining(error), hint: expect.stringMatching(hint) },
    ]);
  });

  test('because of a record over the size of the stream is rejected as a request', async () => {
    // The stream allowed more when cdc started.
    const [event] = eventsOf(1, 1, { bytes: 1_100_000 }).get('0') as [SinkRecord];
    expect(await sink.send([event, ...recordsOf(1)], signal)).toEqual([
      expect.objectContaining({ kind: 'rejected', scope: 'request' }),
      expect.objectContaining({ kind: 'rejected', scope: 'request' }),
    ]);
    expect(await readStream(kinesis.client, STREAM)).toEqual([]);
  });
});

test('a record with an internal failure is possibly stored', async () => {
  kinesis.setFault({ internalFailure: 1 });
  const outcomes = await sink.send(recordsOf(3), signal);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['accepted', 'unknown', 'accepted']);
});

test('a stream that is being created is waited for', async () => {
  const slow = await startLocalKinesis(undefined, { createStreamMs: 1_500 });
  const connection = { region: undefined, endpoint: slow.endpoint, timeoutMs: 2_000 };
  const early = new KinesisSink({ ...connection, stream: 'new', aggregate: 'off', quota: 'off' });
  try {
    await slow.client.send(new CreateStreamCommand({ StreamName: 'new', ShardCount: 1 }));
    expect(await early.send(recordsOf(1), signal)).toEqual([
      { kind: 'throttled', reason: expect.stringContaining('the stream new is CREATING') },
    ]);
    await expect.poll(() => early.send(recordsOf(1), signal), { timeout: 30_000 }).toEqual([{ kind: 'accepted' }]);
  } finally {
    early.close();
    await slow.close();
  }
});

test('events have the partition key of their row, and keep their newline', async () => {
  await sink.send(recordsOf(3), signal);
  const read = await readStream(kinesis.client, STREAM);
  expect(new Map(read.map(({ partitionKey, data }) => [partitionKey, data.toString()]))).toEqual(
    new Map([0, 1, 2].map((id) => [`shop.orders{"id":${id}}`, `{"id":${id},"n":0,"pad":""}\n`])),
  );
});

test('events of a lane are one aggregated record in the shard of the lane', async () => {
  const connection = { region: undefined, endpoint: kinesis.endpoint };
  const aggregating = new KinesisSink({ ...connection, stream: STREAM, aggregate: { maxEvents: 100 }, quota: 'off' });
  const lines = [0, 1, 2].map((n) => Buffer.from(`{"n":${n}}\n`));
  try {
    await aggregating.send(
      [
        { buffers: lines, lane: 0 },
        { buffers: lines, lane: 63 },
      ],
      signal,
    );
  } finally {
    aggregating.close();
  }
  const read = await readStream(kinesis.client, STREAM);
  expect(read.map(({ shardId, partitionKey }) => [shardId, partitionKey])).toEqual([
    ['shardId-000000000000', 'lane-0'],
    ['shardId-000000000001', 'lane-63'],
  ]);
  for (const { data } of read) expect(deaggregate(data).map((user) => String(user.data))).toEqual(lines.map(String));
});

const configOf = (changes: object): KinesisConfig =>
  kinesisSchema.parse({ stream: STREAM, endpoint: kinesis.endpoint, ...changes });
const STREAMS = [STREAM, 'missing'].map((stream) => ({ name: stream, stream }));

test('the size of records is what the stream says', async () => {
  const sizes = async (): Promise<number[]> => {
    const targets = await openKinesisSinks(configOf({}), STREAMS);
    for (const target of targets) target.sink.close();
    return targets.map((target) => target.sink.limits.maxRecordBytes);
  };
  expect(await sizes()).toEqual([1_048_320, 1_048_320]);
  kinesis.describeWith({ MaxRecordSizeInKiB: 4_096 });
  expect(await sizes()).toEqual([4_194_048, 1_048_320]);
});

test('a local stream is paced only if a quota is configured', async () => {
  const open = async (quota: object | 'off') => {
    const [target] = await openKinesisSinks(configOf({ quota }), STREAMS.slice(0, 1));
    target?.sink.close();
    return target?.sink.pacer;
  };
  expect(await open({})).toBeUndefined();
  expect(await open('off')).toBeUndefined();
  const pacer = await open({ records: 2 });
  const [record] = recordsOf(1) as [SinkRecord];
  expect(pacer?.admit(record, 0)).toBe(0);
  expect(pacer?.admit(record, 0)).toBe(500);
});

test('a record has one event, or those of one lane where records are aggregated', async () => {
  const aggregations = async (aggregate: object | 'off') => {
    const targets = await openKinesisSinks(configOf({ aggregate }), STREAMS);
    for (const target of targets) target.sink.close();
    return targets.map(({ name, aggregation, sink: { needsKeys, isLog } }) => ({
      name,
      aggregation,
      needsKeys,
      isLog,
    }));
  };
  expect(await aggregations('off')).toEqual(
    [STREAM, 'missing'].map((name) => ({ name, aggregation: 'off', needsKeys: true, isLog: true })),
  );
  const aggregation = { maxEvents: 500, maxBytes: 51_200 };
  expect(await aggregations({})).toEqual(
    [STREAM, 'missing'].map((name) => ({ name, aggregation, needsKeys: false, isLog: true })),
  );
});

test('a request is signed with the SHA-256 of the body that is sent', async () => {
  const requests: { hash: unknown; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    requests.push({ hash: request.headers['x-amz-content-sha256'], body });
    response.end(JSON.stringify({ FailedRecordCount: 0, Records: [{ SequenceNumber: '1', ShardId: 's' }] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const other = new KinesisSink({ region: undefined, endpoint, stream: STREAM, aggregate: 'off', quota: 'off' });
  try {
    const sent = await Promise.all(
      [...eventsOf(4, 1, { bytes: 300_000 }).values()].map((records) => other.send(records, signal)),
    );
    expect(sent).toEqual(new Array(4).fill([{ kind: 'accepted' }]));
    for (const { hash, body } of requests) expect(hash).toBe(createHash('sha256').update(body).digest('hex'));
  } finally {
    other.close();
    server.closeAllConnections();
    server.close();
  }
});
