import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import {
  CreateDeliveryStreamCommand,
  DeleteDeliveryStreamCommand,
  DescribeDeliveryStreamCommand,
  FirehoseClient,
  ListDeliveryStreamsCommand,
  ListTagsForDeliveryStreamCommand,
  PutRecordBatchCommand,
  PutRecordCommand,
  StartDeliveryStreamEncryptionCommand,
  StopDeliveryStreamEncryptionCommand,
  TagDeliveryStreamCommand,
  UntagDeliveryStreamCommand,
  UpdateDestinationCommand,
} from '@aws-sdk/client-firehose';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { firehoseCommand } from '../../src/commands/firehose.ts';
import { type LocalFirehose, type LocalFirehoseOptions, startLocalFirehose } from '../../src/local/firehose/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'local-firehose-'));
const closing: (() => Promise<unknown> | unknown)[] = [];
let lakes = 0;

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => rmSync(folder, { recursive: true }));

const newLake = () => join(folder, `lake-${lakes++}`);

function clientFor(endpoint: string): FirehoseClient {
  const client = new FirehoseClient({
    region: 'us-east-1',
    endpoint,
    maxAttempts: 1,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  closing.push(() => client.destroy());
  return client;
}

async function start(options: Partial<LocalFirehoseOptions> = {}) {
  const lake = options.lake ?? newLake();
  const listen = { host: '127.0.0.1', port: 0 };
  const firehose = await startLocalFirehose({ listen, lake, streams: [{ name: 's' }], ...options });
  closing.push(() => firehose.close().catch(() => {}));
  return { firehose, lake, client: clientFor(firehose.endpoint) };
}

const put = (client: FirehoseClient, ...records: (string | Buffer)[]) =>
  client.send(
    new PutRecordBatchCommand({
      DeliveryStreamName: 's',
      Records: records.map((Data) => ({ Data: Buffer.from(Data) })),
    }),
  );

/** Name (under the lake) and text of every object. */
function objects(lake: string): Record<string, string> {
  const files = readdirSync(lake, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const bytes = readFileSync(path);
      return [relative(lake, path), String(path.endsWith('.gz') ? gunzipSync(bytes) : bytes)];
    }),
  );
}

/** Texts by folder, for objects whose own names hold time and chance. */
function byFolder(lake: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, text] of Object.entries(objects(lake))) {
    const place = name.slice(0, name.lastIndexOf('/') + 1);
    result[place] = (result[place] ?? '') + text;
  }
  return result;
}

/** Polls without end: the test's own limit ends what hangs, and a machine can be slow. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}

describe('puts', () => {
  test('PutRecordBatch and PutRecord are answered as Firehose answers, an id for every record', async () => {
    const { client } = await start();
    const batch = await put(client, 'one', 'two');
    expect(batch).toMatchObject({ Encrypted: false, FailedPutCount: 0 });
    expect(batch.$metadata.requestId).toMatch(/^[0-9a-f-]{36}$/);
    const one = await client.send(
      new PutRecordCommand({ DeliveryStreamName: 's', Record: { Data: Buffer.from('x') } }),
    );
    expect(one.Encrypted).toBe(false);
    const ids = [...batch.RequestResponses!, one].map(({ RecordId }) => RecordId);
    expect(new Set(ids).size).toBe(3);
    expect(ids.every((id) => typeof id === 'string' && id.length > 20)).toBe(true);
  });

  test('500 records, records of 1,024,000 bytes and calls of 4 MiB are taken; one more of each is refused', async () => {
    const { client, firehose, lake } = await start({ streams: [{ name: 's', bufferSize: 128 * 1024 * 1024 }] });
    await put(client, ...Array.from({ length: 500 }, () => 'x'));
    await expect(put(client, ...Array.from({ length: 501 }, () => 'x'))).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining(
        "at 'records' failed to satisfy constraint: Member must have length less than or equal to 500",
      ),
    });
    await expect(put(client)).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        "1 validation error detected: Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1",
    });
    await put(client, Buffer.alloc(1_024_000, 'x'));
    await expect(put(client, 'x', Buffer.alloc(1_024_001, 'x'))).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1024001 cap=1024001]' at 'records.2.member.data' failed to satisfy constraint: Member must have length less than or equal to 1024000",
    });
    const megabyte = Array.from({ length: 4 }, () => Buffer.alloc(1_024_000, 'x'));
    await put(client, ...megabyte, Buffer.alloc(4_194_304 - 4_096_000, 'x'));
    await expect(put(client, ...megabyte, Buffer.alloc(4_194_304 - 4_095_999, 'x'))).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: 'Records size exceeds 4 MB limit',
    });
    await firehose.close();
    expect(Object.values(objects(lake)).map((text) => text.length)).toEqual([500 + 1_024_000 + 4_194_304]);
  });

  test('a stream that does not exist is not found, in the words of AWS', async () => {
    const { client } = await start({ streams: [], account: '632902152528' });
    await expect(put(client, 'x')).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: 'Firehose s under account 632902152528 not found.',
      $metadata: { httpStatusCode: 400 },
    });
  });

  test('a stream name outside the pattern is a ValidationException', async () => {
    const { client } = await start();
    await expect(client.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName: 'a b' }))).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        "1 validation error detected: Value 'a b' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    });
  });

  test('an unknown stream is created where the owner describes it', async () => {
    const { client, firehose, lake } = await start({
      streams: [],
      autoCreateStream: (name) => (name === 's' ? { name, prefix: 'new/' } : undefined),
    });
    await put(client, 'x');
    await expect(
      client.send(new PutRecordCommand({ DeliveryStreamName: 'other', Record: { Data: Buffer.from('x') } })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await firehose.close();
    expect(Object.keys(objects(lake))).toEqual([expect.stringMatching(/^s\/new\//)]);
  });
});

describe('requests that are no SDK calls', () => {
  const signed = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'Firehose_20150804.PutRecordBatch',
    'x-amz-date': '20260101T000000Z',
    authorization: 'AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c',
  };
  const body = JSON.stringify({ DeliveryStreamName: 's', Records: [{ Data: 'eA==' }] });

  async function post(firehose: LocalFirehose, headers: object, text: string, method = 'POST') {
    const sent = request(firehose.endpoint, { method, headers: { ...signed, ...headers } });
    sent.end(text);
    const [response] = await once(sent, 'response');
    let answer = '';
    for await (const chunk of response) answer += chunk;
    return { status: response.statusCode, headers: response.headers, ...JSON.parse(answer) };
  }

  test('what AWS sends with an answer is sent: request id, content type, length', async () => {
    const { firehose } = await start();
    const { status, headers } = await post(firehose, {}, body);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.1',
      'x-amzn-requestid': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'content-length': expect.any(String),
    });
  });

  test.each([
    [
      'no Authorization',
      { authorization: '' },
      body,
      400,
      'MissingAuthenticationTokenException',
      'Missing Authentication Token',
    ],
    [
      'half an Authorization',
      { authorization: 'AWS4 Credential=a' },
      body,
      400,
      'IncompleteSignatureException',
      "requires 'Signature' parameter",
    ],
    [
      'an unknown operation',
      { 'x-amz-target': 'Firehose_20150804.NoSuchOperation' },
      body,
      400,
      'UnknownOperationException',
      '',
    ],
    [
      'another service',
      { 'x-amz-target': 'Kinesis_20131202.PutRecordBatch' },
      body,
      400,
      'UnknownOperationException',
      '',
    ],
    ['another content type', { 'content-type': 'text/plain' }, body, 404, 'UnknownOperationException', ''],
    ['no JSON', {}, '{', 400, 'SerializationException', ''],
    ['bad base64', {}, body.replace('eA==', 'e!=='), 400, 'SerializationException', "Invalid Base64 character: '!'"],
    [
      'no records',
      {},
      '{"DeliveryStreamName":"s"}',
      400,
      'ValidationException',
      "Value null at 'records' failed to satisfy constraint: Member must not be null",
    ],
  ])('%s is refused', async (_what, headers, text, status, type, message) => {
    const { firehose } = await start();
    expect(await post(firehose, headers, text)).toMatchObject({
      status,
      __type: type,
      message: expect.stringContaining(message),
    });
  });

  test('only POST is served', async () => {
    const { firehose } = await start();
    expect(await post(firehose, {}, '', 'GET')).toMatchObject({ status: 403, __type: 'AccessDeniedException' });
  });

  test('a body over 16 MiB is refused by its announced length, and when it only turns out so while it is read', async () => {
    const { firehose } = await start();
    expect(await post(firehose, { 'content-length': 17 * 1024 * 1024 }, '')).toMatchObject({ status: 413 });
    const sent = request(firehose.endpoint, { method: 'POST', headers: { ...signed, 'transfer-encoding': 'chunked' } });
    sent.on('error', () => {});
    for (let i = 0; i < 17; i++) sent.write(Buffer.alloc(1024 * 1024, 'x'));
    const [response] = await once(sent, 'response');
    expect(response.statusCode).toBe(413);
    sent.destroy();
  });

  test('bodies whose length is not announced count too: beyond 256 MiB in memory the answer is Slow down.', async () => {
    const { firehose } = await start();
    const part = Buffer.alloc(1024 * 1024, 'x');
    const answers: number[] = [];
    const open = Array.from({ length: 24 }, () => {
      const sent = request(firehose.endpoint, {
        method: 'POST',
        headers: { ...signed, 'transfer-encoding': 'chunked' },
      });
      sent.on('error', () => {});
      sent.on('response', ({ statusCode }) => answers.push(statusCode as number));
      return sent;
    });
    // 15 MiB each, and none of them ends.
    for (let i = 0; i < 15; i++) for (const sent of open) sent.write(part);
    await until(() => answers.length > 0);
    expect(new Set(answers)).toEqual(new Set([503]));
    for (const sent of open) sent.destroy();
    // The memory is given back with the connections.
    const client = clientFor(firehose.endpoint);
    const stored = async () => {
      for (;;) {
        try {
          return await put(client, 'x');
        } catch {
          await sleep(50);
        }
      }
    };
    expect(await stored()).toMatchObject({ FailedPutCount: 0 });
  });
});

describe('delivery', () => {
  test('objects are named as Firehose names them, records concatenated in order', async () => {
    const { client, firehose, lake } = await start();
    const before = new Date().toISOString();
    await put(client, 'a\n', 'b\n');
    await put(client, 'c\n');
    await firehose.close();
    const [[name, text], ...more] = Object.entries(objects(lake)) as [[string, string]];
    expect(more).toEqual([]);
    expect(text).toBe('a\nb\nc\n');
    const [, hour, second] =
      /^s\/(\d{4}\/\d\d\/\d\d\/\d\d)\/s-1-(\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.exec(
        name,
      )!;
    const arrival = [before, new Date().toISOString()].map((time) => time.slice(0, 19).replace(/[T:]/g, '-'));
    expect(arrival).toContain(second);
    expect(hour!.replaceAll('/', '-')).toBe(second!.slice(0, 13));
  });

  test('an object is delivered when its buffer is full, split between records', async () => {
    const { client, lake } = await start({ streams: [{ name: 's', bufferSize: 1024 * 1024 }] });
    const record = 'x'.repeat(400_000);
    await put(client, record, record, record, record);
    await until(() => Object.keys(objects(lake)).length === 1);
    expect(Object.values(objects(lake))).toEqual([record.repeat(3)]);
  });

  test('an object is delivered when its time has come, and the next record opens another', async () => {
    const { client, lake } = await start({ streams: [{ name: 's', bufferSeconds: 0.2 }] });
    await put(client, 'a');
    expect(objects(lake)).toEqual({});
    await until(() => Object.keys(objects(lake)).length === 1);
    await put(client, 'b');
    await until(() => Object.keys(objects(lake)).length === 2);
    expect(Object.values(objects(lake)).sort()).toEqual(['a', 'b']);
  });

  test('gzip objects end in .gz and hold the records', async () => {
    const { client, firehose, lake } = await start({ streams: [{ name: 's', gzip: true }] });
    await put(client, 'a\n', 'b\n');
    await firehose.close();
    expect(Object.entries(objects(lake))).toEqual([[expect.stringMatching(/\.gz$/), 'a\nb\n']]);
  });

  test('close delivers every buffer of every stream and leaves nothing in the spool', async () => {
    const { client, firehose, lake } = await start({ streams: [{ name: 's' }, { name: 't' }] });
    await put(client, 'a');
    await client.send(new PutRecordCommand({ DeliveryStreamName: 't', Record: { Data: Buffer.from('b') } }));
    expect(objects(lake)).toEqual({});
    await firehose.close();
    expect(Object.values(objects(lake)).sort()).toEqual(['a', 'b']);
    expect(readdirSync(`${lake}.spool`)).toEqual([]);
  });

  test('a hundred puts at once are all acknowledged once and all delivered once', async () => {
    const { client, firehose, lake } = await start({ streams: [{ name: 's', bufferSize: 1024 * 1024 }] });
    const texts = Array.from({ length: 100 }, (_, i) => `${i}:${'x'.repeat(i * 700)}\n`);
    await Promise.all(texts.map((text) => put(client, text, text)));
    await firehose.close();
    const lines = Object.values(objects(lake))
      .join('')
      .split(/(?<=\n)/);
    expect(lines.sort()).toEqual([...texts, ...texts].sort());
  });

  test('memory of large requests is used again, and no record gets bytes of another', async () => {
    const { client, firehose, lake } = await start({ streams: [{ name: 's', bufferSize: 128 * 1024 * 1024 }] });
    // Sixteen at once, of many sizes, over and over: a body that were given back too early would be written over.
    const record = (client: number, turn: number) =>
      `${client}-${turn} `.repeat(4_000 + ((client * 7 + turn) % 9) * 4_000);
    await Promise.all(
      Array.from({ length: 16 }, async (_, one) => {
        for (let turn = 0; turn < 12; turn++) await put(client, `<${record(one, turn)}>`, `<${record(one, turn)}>`);
      }),
    );
    await firehose.close();
    const counts = new Map<string, number>();
    for (const [, text = ''] of Object.values(objects(lake))
      .join('')
      .matchAll(/<([^<>]*)>/g)) {
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    expect(counts.size).toBe(16 * 12);
    for (let one = 0; one < 16; one++) {
      for (let turn = 0; turn < 12; turn++) expect(counts.get(record(one, turn)) === 2).toBe(true);
    }
  });
});

describe('dynamic partitioning', () => {
  const byTable = {
    name: 's',
    prefix: '!{partitionKeyFromQuery:db}/!{partitionKeyFromQuery:table}/',
    errorOutputPrefix: 'failed/!{firehose:error-output-type}/',
    partition: '{db:.source.db, table:.source.table}',
  };
  const event = (table: unknown, n = 0) => `${JSON.stringify({ n, source: { db: 'shop', table } })}\n`;
  const failures = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  test('each event of an aggregated record goes where its table goes, in order', async () => {
    const { client, firehose, lake } = await start({ streams: [byTable] });
    await put(client, event('a', 1) + event('b', 2) + event('a', 3), event('b', 4).trimEnd());
    await firehose.close();
    expect(byFolder(lake)).toEqual({
      's/shop/a/': event('a', 1) + event('a', 3),
      's/shop/b/': event('b', 2) + event('b', 4),
    });
  });

  test('what cannot be partitioned goes under the error prefix, whole and with its reason', async () => {
    const { client, firehose, lake } = await start({ streams: [byTable] });
    await put(client, `${event('a')}no json\n${event(null)}`, event('a').repeat(501));
    await firehose.close();
    const { 's/failed/partitioning-failed/': failed, ...rest } = byFolder(lake);
    expect(rest).toEqual({ 's/shop/a/': event('a') });
    expect(failures(failed!)).toEqual(
      ['no json\n', event(null), event('a').repeat(501)].map((text) =>
        expect.objectContaining({
          errorCode: 'DynamicPartitioning.MetadataExtractionFailed',
          errorMessage: expect.any(String),
          arrivalTimestamp: expect.any(Number),
          rawData: Buffer.from(text).toString('base64'),
        }),
      ),
    );
  });

  test('500 partitions are active at most: the 501st goes under the error prefix, the others go on', async () => {
    const { client, firehose, lake } = await start({ streams: [byTable] });
    const all = Array.from({ length: 501 }, (_, i) => event(`t${i}`));
    await put(client, all.slice(0, 500).join(''), all.slice(500).join('') + event('t0'));
    await firehose.close();
    const folders = byFolder(lake);
    const { 's/failed/activePartitionExceeded/': exceeded, ...rest } = folders;
    expect(Object.keys(rest)).toHaveLength(500);
    expect(rest['s/shop/t0/']).toBe(event('t0').repeat(2));
    expect(failures(exceeded!)).toMatchObject([{ rawData: Buffer.from(event('t500')).toString('base64') }]);
  });

  test('no value leads out of the folder of the stream', async () => {
    const { client, firehose, lake } = await start({ streams: [byTable] });
    await put(client, event('../../..') + event('x'.repeat(600)));
    await firehose.close();
    expect(Object.keys(byFolder(lake)).sort()).toEqual([
      's/failed/partitioning-failed/',
      's/shop/%2E%2E/%2E%2E/%2E%2E/',
    ]);
  });
});

describe('managing streams', () => {
  const destination = { RoleARN: 'arn:aws:iam::000000000000:role/r', BucketARN: 'arn:aws:s3:::b' };
  const create = (client: FirehoseClient, name: string, more: object = {}) =>
    client.send(
      new CreateDeliveryStreamCommand({
        DeliveryStreamName: name,
        ExtendedS3DestinationConfiguration: { ...destination, ...more },
      }),
    );
  const list = async (client: FirehoseClient, input = {}) => {
    const { DeliveryStreamNames, HasMoreDeliveryStreams } = await client.send(new ListDeliveryStreamsCommand(input));
    return [DeliveryStreamNames, HasMoreDeliveryStreams];
  };

  test('a stream lives from CreateDeliveryStream to DeleteDeliveryStream, which delivers what it held', async () => {
    const { client, lake } = await start({ streams: [] });
    const created = await create(client, 's', { CompressionFormat: 'GZIP', BufferingHints: { SizeInMBs: 2 } });
    expect(created.DeliveryStreamARN).toBe('arn:aws:firehose:us-east-1:000000000000:deliverystream/s');
    await expect(create(client, 's')).rejects.toMatchObject({
      name: 'ResourceInUseException',
      message: 'Firehose s under accountId 000000000000 already exists',
    });
    const described = await client.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName: 's' }));
    expect(described.DeliveryStreamDescription).toMatchObject({
      DeliveryStreamARN: created.DeliveryStreamARN,
      DeliveryStreamStatus: 'ACTIVE',
      DeliveryStreamType: 'DirectPut',
      CreateTimestamp: expect.any(Date),
      Destinations: [
        {
          ExtendedS3DestinationDescription: {
            CompressionFormat: 'GZIP',
            BufferingHints: { SizeInMBs: 2, IntervalInSeconds: 300 },
          },
        },
      ],
    });
    await put(client, 'held');
    await client.send(new DeleteDeliveryStreamCommand({ DeliveryStreamName: 's' }));
    expect(Object.values(objects(lake))).toEqual(['held']);
    await expect(put(client, 'x')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  test('has tags, which come and go by key, page by page, and cannot be more than 50', async () => {
    const { client } = await start({ streams: [] });
    const stream = { DeliveryStreamName: 's' };
    await client.send(
      new CreateDeliveryStreamCommand({
        ...stream,
        ExtendedS3DestinationConfiguration: destination,
        Tags: [{ Key: 'team', Value: 'shop' }],
      }),
    );
    await client.send(
      new TagDeliveryStreamCommand({
        ...stream,
        Tags: [{ Key: 'env', Value: 'test' }, { Key: 'team', Value: 'lake' }, { Key: 'bare' }],
      }),
    );
    const tags = async (input = {}) => {
      const { Tags, HasMoreTags } = await client.send(new ListTagsForDeliveryStreamCommand({ ...stream, ...input }));
      return [Tags?.map(({ Key, Value }) => `${Key}=${Value}`), HasMoreTags];
    };
    expect(await tags()).toEqual([['bare=', 'env=test', 'team=lake'], false]);
    expect(await tags({ Limit: 1 })).toEqual([['bare='], true]);
    expect(await tags({ Limit: 1, ExclusiveStartTagKey: 'env' })).toEqual([['team=lake'], false]);
    await client.send(new UntagDeliveryStreamCommand({ ...stream, TagKeys: ['env', 'never there'] }));
    expect(await tags()).toEqual([['bare=', 'team=lake'], false]);
    const many = Array.from({ length: 49 }, (_, i) => ({ Key: `k${i}`, Value: '' }));
    await expect(client.send(new TagDeliveryStreamCommand({ ...stream, Tags: many }))).rejects.toMatchObject({
      name: 'LimitExceededException',
    });
    await expect(
      client.send(new TagDeliveryStreamCommand({ ...stream, Tags: [{ Key: 'aws:x', Value: '' }] })),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' });
    expect(await tags()).toEqual([['bare=', 'team=lake'], false]);
    // A look at the tags of a stream does not create it.
    const other = new ListTagsForDeliveryStreamCommand({ DeliveryStreamName: 'other' });
    await expect(client.send(other)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  test('has a state of encryption, in DescribeDeliveryStream and in the answer to puts', async () => {
    const { client } = await start();
    const stream = { DeliveryStreamName: 's' };
    const state = async () =>
      (await client.send(new DescribeDeliveryStreamCommand(stream))).DeliveryStreamDescription
        ?.DeliveryStreamEncryptionConfiguration;
    expect(await state()).toEqual({ Status: 'DISABLED' });
    await client.send(new StartDeliveryStreamEncryptionCommand(stream));
    expect(await state()).toEqual({ Status: 'ENABLED', KeyType: 'AWS_OWNED_CMK' });
    expect(await put(client, 'x')).toMatchObject({ Encrypted: true, FailedPutCount: 0 });
    const KeyARN = 'arn:aws:kms:us-east-1:000000000000:key/k';
    const DeliveryStreamEncryptionConfigurationInput = { KeyType: 'CUSTOMER_MANAGED_CMK' as const, KeyARN };
    await client.send(
      new StartDeliveryStreamEncryptionCommand({ ...stream, DeliveryStreamEncryptionConfigurationInput }),
    );
    expect(await state()).toEqual({ Status: 'ENABLED', KeyType: 'CUSTOMER_MANAGED_CMK', KeyARN });
    await expect(
      client.send(
        new StartDeliveryStreamEncryptionCommand({
          ...stream,
          DeliveryStreamEncryptionConfigurationInput: { KeyType: 'CUSTOMER_MANAGED_CMK' },
        }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException', message: expect.stringContaining('KeyARN') });
    await client.send(new StopDeliveryStreamEncryptionCommand(stream));
    expect(await state()).toEqual({ Status: 'DISABLED' });
    expect(await put(client, 'x')).toMatchObject({ Encrypted: false });
  });

  test('refuses UpdateDestination by name, and says what to do', async () => {
    const { client } = await start();
    await expect(
      client.send(
        new UpdateDestinationCommand({
          DeliveryStreamName: 's',
          CurrentDeliveryStreamVersionId: '1',
          DestinationId: 'destinationId-000000000001',
          ExtendedS3DestinationUpdate: { Prefix: 'x/' },
        }),
      ),
    ).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: expect.stringMatching(/does not support UpdateDestination: delete the stream/),
    });
  });

  test('is described as it was created', async () => {
    const { client } = await start({ streams: [] });
    const given = {
      Prefix: '!{partitionKeyFromQuery:t}/',
      ErrorOutputPrefix: 'failed/!{firehose:error-output-type}/',
      BufferingHints: { SizeInMBs: 64, IntervalInSeconds: 60 },
      CompressionFormat: 'GZIP',
      EncryptionConfiguration: { KMSEncryptionConfig: { AWSKMSKeyARN: 'arn:aws:kms:us-east-1:000000000000:key/k' } },
      CloudWatchLoggingOptions: { Enabled: true, LogGroupName: 'g', LogStreamName: 'l' },
      DynamicPartitioningConfiguration: { Enabled: true, RetryOptions: { DurationInSeconds: 10 } },
      S3BackupMode: 'Disabled',
      CustomTimeZone: 'UTC',
      ProcessingConfiguration: {
        Enabled: true,
        Processors: [
          {
            Type: 'MetadataExtraction',
            Parameters: [
              { ParameterName: 'MetadataExtractionQuery', ParameterValue: '{t:.t}' },
              { ParameterName: 'JsonParsingEngine', ParameterValue: 'JQ-1.6' },
            ],
          },
          { Type: 'AppendDelimiterToRecord', Parameters: [] },
        ],
      },
    };
    await create(client, 's', given);
    const { DeliveryStreamDescription: described } = await client.send(
      new DescribeDeliveryStreamCommand({ DeliveryStreamName: 's' }),
    );
    const { ExtendedS3DestinationDescription: shown, DestinationId } = described?.Destinations?.[0] ?? {};
    expect(shown).toEqual({ ...destination, ...given });
    expect(described).toMatchObject({ VersionId: '1', CreateTimestamp: expect.any(Date), HasMoreDestinations: false });
    expect(DestinationId).toBe('destinationId-000000000001');
  });

  test('a stream created with dynamic partitioning partitions', async () => {
    const { client, firehose, lake } = await start({ streams: [] });
    const partitioned = {
      Prefix: '!{partitionKeyFromQuery:t}/',
      ErrorOutputPrefix: 'failed/!{firehose:error-output-type}/',
      DynamicPartitioningConfiguration: { Enabled: true },
      ProcessingConfiguration: {
        Enabled: true,
        Processors: [
          { Type: 'RecordDeAggregation', Parameters: [{ ParameterName: 'SubRecordType', ParameterValue: 'JSON' }] },
          {
            Type: 'MetadataExtraction',
            Parameters: [
              { ParameterName: 'MetadataExtractionQuery', ParameterValue: '{t:.t}' },
              { ParameterName: 'JsonParsingEngine', ParameterValue: 'JQ-1.6' },
            ],
          },
        ],
      },
    };
    await expect(create(client, 's', { ...partitioned, BufferingHints: { SizeInMBs: 5 } })).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: 'BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.',
    });
    await create(client, 's', partitioned);
    await put(client, '{"t":"a"}\n');
    await firehose.close();
    expect(byFolder(lake)).toEqual({ 's/a/': '{"t":"a"}\n' });
  });

  test.each([
    [{ Prefix: '!{timestamp:yyyy}/' }, 'ErrorOutputPrefix cannot be null or empty when Prefix contains expressions'],
    [{ CompressionFormat: 'Snappy' }, 'The local Firehose does not support CompressionFormat Snappy'],
    [{ FileExtension: '.x' }, 'The local Firehose does not support ExtendedS3DestinationConfiguration.FileExtension'],
  ])('CreateDeliveryStream with %j is an InvalidArgumentException', async (more, message) => {
    const { client } = await start({ streams: [] });
    await expect(create(client, 's', more)).rejects.toMatchObject({ name: 'InvalidArgumentException', message });
  });

  test('streams are listed by name, in pages', async () => {
    const { client } = await start({ streams: ['c', 'a', 'b'].map((name) => ({ name })) });
    expect(await list(client)).toEqual([['a', 'b', 'c'], false]);
    expect(await list(client, { Limit: 2 })).toEqual([['a', 'b'], true]);
    expect(await list(client, { ExclusiveStartDeliveryStreamName: 'b' })).toEqual([['c'], false]);
  });
});

describe('a process that is killed', () => {
  const code = `
    const { startLocalFirehose } = await import(process.argv[1]);
    const options = { listen: { host: '127.0.0.1', port: 0 }, ...JSON.parse(process.argv[2]) };
    console.log((await startLocalFirehose(options)).endpoint);`;
  const server = new URL('../../dist/local/firehose/server.js', import.meta.url).href;
  let running: ChildProcess | undefined;

  async function startChild(options: Partial<LocalFirehoseOptions>) {
    const argv = ['--input-type=module', '--eval', code, server, JSON.stringify(options)];
    const process_ = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    running = process_;
    closing.push(() => process_.kill('SIGKILL'));
    const [endpoint] = await once(createInterface(process_.stdout), 'line');
    return clientFor(endpoint);
  }

  async function kill() {
    const exited = once(running!, 'exit');
    running!.kill('SIGKILL');
    await exited;
  }

  test('has every acknowledged record delivered at the next start, none of them torn', async () => {
    const lake = newLake();
    const client = await startChild({ lake, streams: [{ name: 's' }] });
    const acknowledged: string[] = [];
    let sent = 0;
    const record = () => `${JSON.stringify({ n: sent++, text: 'x'.repeat(100_000) })}\n`;
    const writer = async () => {
      for (;;) {
        const records = [record(), record()];
        try {
          await put(client, ...records);
        } catch {
          return;
        }
        acknowledged.push(...records);
      }
    };
    const writers = [writer(), writer(), writer(), writer()];
    await until(() => acknowledged.length >= 60);
    await kill();
    await Promise.all(writers);

    const { firehose } = await start({ lake });
    const lines = Object.values(objects(lake))
      .join('')
      .split(/(?<=\n)/);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ n: expect.any(Number) });
    const numbers = new Set(lines.map((line) => JSON.parse(line).n));
    expect(acknowledged.filter((line) => !numbers.has(JSON.parse(line).n))).toEqual([]);
    expect(numbers.size).toBe(lines.length);
    await firehose.close();
    expect(readdirSync(`${lake}.spool`)).toEqual([]);
  });

  test('has partitions, gzip and the time of arrival kept over its death', async () => {
    const lake = newLake();
    const options = {
      name: 's',
      gzip: true,
      prefix: '!{partitionKeyFromQuery:t}/!{timestamp:HH-mm-ss}/',
      errorOutputPrefix: 'e/!{firehose:error-output-type}/',
      partition: '{t:.t}',
    };
    const client = await startChild({ lake, streams: [options] });
    await put(client, '{"t":"a"}\n{"t":"b"}\n{"t":"a"}\n');
    await kill();
    const spooled = readdirSync(`${lake}.spool`).filter((name) => name.endsWith('.meta'));
    const expected = spooled.map((name) =>
      JSON.parse(readFileSync(join(`${lake}.spool`, name), 'utf8').split('\n')[1]!),
    );
    await sleep(1_100);
    await start({ lake });
    expect(Object.keys(objects(lake)).sort()).toEqual(expected.map(({ object }) => object).sort());
    expect(Object.values(objects(lake)).sort()).toEqual(['{"t":"a"}\n{"t":"a"}\n', '{"t":"b"}\n']);
  });

  test('while it lives, its lake is its own', async () => {
    const lake = newLake();
    const client = await startChild({ lake, streams: [{ name: 's' }] });
    await put(client, 'x');
    await expect(start({ lake })).rejects.toMatchObject({
      message: `another local Firehose (process ${running!.pid}) delivers into ${lake}`,
      exitCode: 1,
      hint: expect.stringContaining('--lake'),
    });
    await kill();
    await start({ lake });
    expect(Object.values(objects(lake))).toEqual(['x']);
  });
});

describe('trouble', () => {
  test('a lake that is a file is one clear error, before anything is acknowledged', async () => {
    const lake = newLake();
    mkdirSync(dirname(lake), { recursive: true });
    writeFileSync(lake, 'precious');
    await expect(start({ lake })).rejects.toMatchObject({
      name: 'CdcError',
      message: `cannot use ${lake} as the lake folder`,
      exitCode: 2,
      why: `${lake} is not a directory`,
      hint: expect.stringContaining('--lake'),
    });
    expect(readFileSync(lake, 'utf8')).toBe('precious');
    rmSync(lake);
    writeFileSync(`${lake}.spool`, '');
    await expect(start({ lake })).rejects.toMatchObject({ why: `${lake}.spool is not a directory` });
    rmSync(`${lake}.spool`);
    rmSync(lake, { recursive: true });
  });

  test('a port in use is one clear error, and the lake is free again', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    closing.push(() => taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const lake = newLake();
    await expect(start({ lake, listen: { host: '127.0.0.1', port } })).rejects.toMatchObject({
      name: 'CdcError',
      message: `port ${port} on 127.0.0.1 is already in use`,
      exitCode: 1,
      hint: expect.stringContaining('--listen'),
    });
    await start({ lake });
  });

  test('records that cannot be spooled are not acknowledged, and those before them are not lost', async () => {
    const lines: string[] = [];
    const { client, lake } = await start({ log: (line) => lines.push(line) });
    await put(client, 'kept');
    rmSync(`${lake}.spool`, { recursive: true });
    await client.send(
      new CreateDeliveryStreamCommand({
        DeliveryStreamName: 't',
        ExtendedS3DestinationConfiguration: {
          RoleARN: 'arn:aws:iam::000000000000:role/r',
          BucketARN: 'arn:aws:s3:::b',
        },
      }),
    );
    await expect(
      client.send(new PutRecordCommand({ DeliveryStreamName: 't', Record: { Data: Buffer.from('x') } })),
    ).rejects.toMatchObject({ name: 'ServiceUnavailableException', $metadata: { httpStatusCode: 503 } });
    expect(lines).toEqual([expect.stringContaining('could not spool 1 records of t')]);
  });

  test('an object that cannot be delivered is kept, and delivered as soon as it can be', async () => {
    const lines: string[] = [];
    const streams = [{ name: 's', bufferSeconds: 0.05 }];
    const { client, firehose, lake } = await start({ streams, log: (line) => lines.push(line) });
    writeFileSync(join(lake, 's'), 'in the way');
    await put(client, 'kept');
    await until(() => lines.length > 0);
    expect(lines[0]).toMatch(/^could not deliver s\/.*trying again$/);
    await expect(firehose.close()).rejects.toMatchObject({ exitCode: 1, hint: expect.stringContaining('.spool') });
    rmSync(join(lake, 's'));
    await start({ lake });
    expect(Object.values(objects(lake))).toEqual(['kept']);
  });

  test('a delivery that failed is made up for by close', async () => {
    const lines: string[] = [];
    const streams = [{ name: 's', bufferSeconds: 0.05, gzip: true }];
    const { client, firehose, lake } = await start({ streams, log: (line) => lines.push(line) });
    writeFileSync(join(lake, 's'), 'in the way');
    await put(client, 'kept');
    await until(() => lines.length > 0);
    rmSync(join(lake, 's'));
    await firehose.close();
    expect(Object.values(objects(lake))).toEqual(['kept']);
  });

  test('settings that Firehose refuses end the start with exit code 2 and the reason', async () => {
    await expect(start({ streams: [{ name: 's', prefix: '!{timestamp:yyyy}/' }] })).rejects.toMatchObject({
      exitCode: 2,
      why: 'ErrorOutputPrefix cannot be null or empty when Prefix contains expressions',
    });
  });
});

describe('cdc firehose', () => {
  function run(...argv: string[]) {
    const ending = new AbortController();
    const lines: string[] = [];
    const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text).trimEnd()) > 0);
    const lake = newLake();
    const done = firehoseCommand(ending.signal)
      .exitOverride()
      .parseAsync(['--listen', '127.0.0.1:0', '--lake', lake, ...argv], { from: 'user' });
    closing.push(async () => {
      ending.abort();
      await done.catch(() => {});
      out.mockRestore();
    });
    const endpoint = async () => {
      await Promise.race([until(() => lines.length > 0), done]);
      return /http:\S+\d/.exec(lines[0]!)![0];
    };
    return { ending, lines, lake, done, endpoint };
  }

  test('says where it listens, creates streams on first use, reports each object, and flushes when it is ended', async () => {
    const { ending, lines, lake, done, endpoint } = run('--gzip');
    await put(clientFor(await endpoint()), 'hello');
    ending.abort();
    await done;
    const [name] = Object.keys(objects(lake));
    expect(objects(lake)).toEqual({ [name!]: 'hello' });
    expect(name).toMatch(/\.gz$/);
    expect(lines.slice(1)).toEqual(['created stream s', `delivered ${name} (5 bytes)`]);
    expect(statSync(join(lake, name!)).size).toBeGreaterThan(0);
  });

  test('--strict knows only the streams that were named', async () => {
    const { endpoint } = run('--strict', '--stream', 'a', '--stream', 'b');
    const client = clientFor(await endpoint());
    await expect(put(client, 'x')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    const { DeliveryStreamNames } = await client.send(new ListDeliveryStreamsCommand({}));
    expect(DeliveryStreamNames).toEqual(['a', 'b']);
  });

  test.each([
    [['--buffer-size', '5 apples'], '--buffer-size 5 apples is not a size'],
    [['--buffer-seconds', 'soon'], '--buffer-seconds soon is not a number'],
    [['--listen', '4573'], '--listen 4573 is not an address'],
    [['--prefix', '!{timestamp:yyyy}/'], 'the settings of the delivery stream are invalid'],
  ])('%j is refused with exit code 2, at once', async (argv, message) => {
    await expect(run(...argv).done).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });
});
