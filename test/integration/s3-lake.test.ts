import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readLines } from '../../src/lake/object-lines.ts';
import type { LakeObject, LakeStore } from '../../src/lake/object-store.ts';
import { openLake } from '../../src/lake/open-lake.ts';
import { nextTurn } from '../../src/runtime/abort.ts';
import type { CdcError } from '../../src/runtime/error.ts';
import { S3_ENVIRONMENT, S3Server, s3Answer } from './s3-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-s3-lake-'));
const server = new S3Server();
const stores: LakeStore[] = [];
const never = new AbortController().signal;
beforeAll(() => server.start());
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  server.reset();
  // Attempts follow each other at once.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  environment({ ...S3_ENVIRONMENT, AWS_ENDPOINT_URL_S3: server.endpoint, AWS_REGION: 'us-east-1' });
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Only these variables of AWS are set. */
function environment(variables: Record<string, string>): void {
  vi.unstubAllEnvs();
  for (const name of Object.keys(process.env)) if (/^AWS_|_PROXY$/i.test(name)) vi.stubEnv(name, undefined);
  const none = { AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/dev/null' };
  for (const [name, value] of Object.entries({
    ...none,
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    ...variables,
  })) {
    vi.stubEnv(name, value);
  }
}

async function open(prefix = '', { bucket = server.bucket, region }: { bucket?: string; region?: string } = {}) {
  const store = await openLake(`s3://${bucket}/${prefix}`, { region });
  stores.push(store);
  return store;
}

/** The lake below a prefix with one object. */
async function withObject(key: string, bytes: Buffer | string): Promise<{ store: LakeStore; object: LakeObject }> {
  await server.put(key, bytes);
  const store = await open(key);
  const [object] = await store.list();
  server.calls.length = 0;
  return { store, object: object as LakeObject };
}

async function textOf(store: LakeStore, object: LakeObject): Promise<string> {
  const blocks: Buffer[] = [];
  for await (const { bytes } of readLines(store, object, never)) blocks.push(bytes);
  return Buffer.concat(blocks).toString();
}

const lines = (count: number): string => Array.from({ length: count }, (_, i) => `{"id":${i}}\n`).join('');

/** What does not compress: the bytes of the object are as many as those of the lines. */
const large = lines(400_000);

async function failure(work: Promise<unknown>): Promise<CdcError> {
  return work.then(
    () => expect.fail('nothing failed'),
    (error) => error,
  );
}

describe('list', () => {
  test('has every object below the prefix, over several pages, in the order of their names', async () => {
    const names = Array.from({ length: 2_050 }, (_, i) => String(i).padStart(5, '0'));
    server.fill('pages', names);
    await server.put('pages-2', 'not below it');
    const store = await open('pages/');
    expect((await store.list()).map(({ name }) => name)).toEqual(names.map((name) => `pages/${name}`));
    expect(server.calls).toHaveLength(3);
  });

  test('says of an object how many bytes it has and when it was written, and its version changes with it', async () => {
    const before = Date.now();
    const { store, object } = await withObject('facts/a', 'abc\n');
    expect(object).toMatchObject({ name: 'facts/a', bytes: 4, version: expect.stringMatching(/^"[0-9a-f]{32}"$/) });
    expect(Math.abs(object.modifiedAt - before)).toBeLessThan(60_000);
    expect(store.location).toBe(`s3://${server.bucket}/facts/a`);
    await server.put('facts/a', 'abd\n');
    expect((await store.list())[0]?.version).not.toBe(object.version);
  });

  test('reads names as S3 encodes them in a list', async () => {
    const key = 'odd/a%2B+ é&<\u0001';
    const encoded = encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/');
    server.answer = () => ({
      status: 200,
      body: listOf(`<IsTruncated>false</IsTruncated><Contents><Key>${encoded}</Key></Contents>`),
    });
    expect((await (await open('odd/')).list())[0]?.name).toBe(key);
  });

  test('of a prefix without objects is empty', async () => {
    expect(await (await open('none/')).list()).toEqual([]);
  });

  test('a list that does not go on is an error, not a shorter list', async () => {
    server.answer = () => ({ status: 200, body: listOf('<IsTruncated>true</IsTruncated>') });
    const error = await failure((await open()).list());
    expect(error).toMatchObject({ message: `S3 does not list s3://${server.bucket}/ to its end`, kind: 'retry' });
  });
});

const listOf = (contents: string): string =>
  `<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType>${contents}</ListBucketResult>`;

describe('read', () => {
  test('plain and gzip objects, and those without bytes', async () => {
    for (const [key, bytes] of [
      ['plain', Buffer.from(large)],
      ['gzip.gz', gzipSync(large)],
      ['members', Buffer.concat([gzipSync(large), gzipSync('')])],
    ] as const) {
      const { store, object } = await withObject(`whole/${key}`, bytes);
      expect((await textOf(store, object)) === large).toBe(true);
      expect(server.calls).toHaveLength(1);
    }
    const { store, object } = await withObject('whole/empty', '');
    expect(await textOf(store, object)).toBe('');
  });

  test.each(['odd/a+b c.json', 'odd/é=1/100%', "odd/a'()*!&?#"])('an object named %s', async (key) => {
    const { store, object } = await withObject(key, 'abc\n');
    expect(object.name).toBe(key);
    expect(await textOf(store, object)).toBe('abc\n');
  });

  test('an object that was cut on its way is continued at the byte where it was cut', async () => {
    const { store, object } = await withObject('cut/a', large);
    let cuts = 0;
    server.cutAfter = () => (++cuts <= 8 ? 500_000 : undefined);
    expect((await textOf(store, object)) === large).toBe(true);
    expect(server.calls.length).toBeGreaterThan(8);
    expect(server.calls.slice(1).every(({ range }) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true);
  });

  test('an object that is cut at the same byte again and again ends the reading', async () => {
    const { store, object } = await withObject('cut/b', large);
    server.cutAfter = ({ range }) => (range === undefined ? 500_000 : 0);
    const error = await failure(textOf(store, object));
    expect(error).toMatchObject({ message: `${server.endpoint} cannot be read`, kind: 'retry' });
  });

  test('an object of which S3 sends fewer bytes than it listed is continued, and is changed if no more come', async () => {
    const { store, object } = await withObject('short/a', large);
    server.cut = 'short';
    server.cutAfter = ({ range }) => (range === undefined ? 3_000_000 : undefined);
    expect((await textOf(store, object)) === large).toBe(true);
    server.cutAfter = ({ range }) => (range === undefined ? 3_000_000 : 0);
    expect(await failure(textOf(store, object))).toMatchObject({ kind: 'changed' });
  });

  test('an object whose bytes stop without an end is continued after a time of silence', async () => {
    const { store, object } = await withObject('silent/a', large);
    server.cutAfter = ({ range }) => (range === undefined ? 3_000_000 : undefined);
    server.cut = 'silent';
    let given = 0;
    const reading = async () => {
      for await (const { bytes } of readLines(store, object, never)) given += bytes.length;
    };
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const done = reading();
      while (given === 0) await nextTurn();
      while (server.calls.length < 2) {
        await vi.advanceTimersByTimeAsync(1_000);
        await nextTurn();
      }
      await done;
      expect(given).toBe(large.length);
    } finally {
      vi.useRealTimers();
    }
  });

  test('an object that is gone is damage of that kind', async () => {
    const { store, object } = await withObject('lost/gone', 'abc\n');
    await server.remove('lost/gone');
    expect(await failure(textOf(store, object))).toMatchObject({ object: 'lost/gone', line: 1, kind: 'gone' });
  });

  test('an object that was written again is damage of that kind, whether S3 or cdc notices', async () => {
    const { store, object } = await withObject('lost/changed', 'abc\n');
    await server.put('lost/changed', 'abd\n');
    expect(await failure(textOf(store, object))).toMatchObject({ line: 1, kind: 'changed' });
    server.answer = () => s3Answer(412, 'PreconditionFailed');
    expect(await failure(textOf(store, object))).toMatchObject({ line: 1, kind: 'changed' });
  });

  test('an object that was written again while it was read is damage after the lines before', async () => {
    const { store, object } = await withObject('lost/later', large);
    server.cutAfter = () => 3_000_000;
    const reading = async () => {
      let given = 0;
      for await (const { bytes } of readLines(store, object, never)) {
        if (given === 0) await server.put('lost/later', large.replaceAll('0', '1'));
        given += bytes.length;
      }
    };
    const error = await failure(reading());
    expect(error).toMatchObject({ kind: 'changed' });
    expect((error as unknown as { line: number }).line).toBeGreaterThan(100_000);
  });

  test('the signal ends the reading, and a caller can stop early', async () => {
    const { store, object } = await withObject('stop/a', large);
    const abort = new AbortController();
    const reading = async () => {
      for await (const _ of readLines(store, object, abort.signal)) abort.abort(new Error('enough'));
    };
    expect(await failure(reading())).toMatchObject({ message: 'enough' });
    for await (const _ of readLines(store, object, never)) break;
    await expect(textOf(store, object)).resolves.toHaveLength(large.length);
  });
});

test('the signal ends the reading of an object whose bytes stop, without the time of silence', async () => {
  const { store, object } = await withObject('silent/b', large);
  server.cutAfter = () => 3_000_000;
  server.cut = 'silent';
  const abort = new AbortController();
  let given = 0;
  const reading = async () => {
    for await (const { bytes } of readLines(store, object, abort.signal)) given += bytes.length;
  };
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const ended = failure(reading());
    while (given < 2_600_000) await nextTurn();
    // What has arrived is read meanwhile.
    for (let turn = 0; turn < 200; turn++) await nextTurn();
    abort.abort(new Error('enough'));
    expect(await ended).toMatchObject({ message: 'enough' });
  } finally {
    vi.useRealTimers();
  }
});

describe('what is asked again', () => {
  test('a request that S3 throttles or cannot serve', async () => {
    const answers = [s3Answer(503, 'SlowDown'), s3Answer(500, 'InternalError'), s3Answer(429, 'TooManyRequests')];
    const { store, object } = await withObject('again/a', 'abc\n');
    server.answer = () => answers.shift();
    expect(await textOf(store, object)).toBe('abc\n');
    expect(server.calls).toHaveLength(4);
  });

  test('nothing that another attempt does not change', async () => {
    server.answer = () => s3Answer(403, 'AccessDenied');
    await failure((await open()).list());
    expect(server.calls).toHaveLength(1);
  });

  test('a bucket in another region, there', async () => {
    const redirect = s3Answer(301, 'PermanentRedirect', '', { 'x-amz-bucket-region': 'eu-west-1' });
    const malformed = s3Answer(400, 'AuthorizationHeaderMalformed', '<Region>eu-west-1</Region>');
    for (const first of [redirect, malformed]) {
      const answers = [first];
      server.answer = () => answers.shift();
      const store = await open('none/', { region: 'ap-south-1' });
      expect(await store.list()).toEqual([]);
      expect(await store.list()).toEqual([]);
      expect(answers).toEqual([]);
    }
    // It stays there.
    const regions = ['ap-south-1', 'eu-west-1', 'eu-west-1'];
    expect(server.calls.map(({ region }) => region)).toEqual([...regions, ...regions]);
  });

  test('credentials that were renewed since they were read', async () => {
    const file = join(directory, 'credentials');
    const write = (key: string) =>
      writeFileSync(file, `[default]\naws_access_key_id = ${key}\naws_secret_access_key = ${key}\n`);
    write('OLD');
    const variables = { AWS_ENDPOINT_URL_S3: server.endpoint, AWS_SHARED_CREDENTIALS_FILE: file };
    environment(variables);
    server.answer = ({ accessKey }) => {
      if (accessKey !== 'OLD') return undefined;
      write('S3RVER');
      return s3Answer(400, 'ExpiredToken');
    };
    expect(await (await open('none/')).list()).toEqual([]);
    expect(server.calls.map(({ accessKey }) => accessKey)).toEqual(['OLD', 'S3RVER']);
  });

  test('without a region, that of us-east-1 first', async () => {
    environment({ ...S3_ENVIRONMENT, AWS_ENDPOINT_URL_S3: server.endpoint });
    expect(await (await open('none/')).list()).toEqual([]);
  });
});

describe('errors say what, why and what to do', () => {
  const reported = async (work: Promise<unknown>) => {
    const { message, why, hint, exitCode } = await failure(work);
    return { message, why, hint, exitCode };
  };

  test('a bucket that is not there', async () => {
    const store = await open('events/', { bucket: 'no-such-lake' });
    expect(await reported(store.list())).toEqual({
      message: 'there is no bucket no-such-lake',
      why: 'NoSuchBucket: The specified bucket does not exist',
      hint: 'correct the bucket in lake',
      exitCode: 1,
    });
  });

  test('a list that is denied', async () => {
    server.answer = () => s3Answer(403, 'AccessDenied');
    expect(await reported((await open('events/')).list())).toEqual({
      message: 'the credentials do not allow s3:ListBucket for s3://shop-lake/events/',
      why: 'AccessDenied: About AccessDenied',
      hint: 'allow {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::shop-lake"}',
      exitCode: 1,
    });
  });

  test('an object that is denied', async () => {
    const { store, object } = await withObject('events/a', 'abc\n');
    server.answer = () => s3Answer(403, 'AccessDenied');
    expect(await reported(textOf(store, object))).toMatchObject({
      message: 'the credentials do not allow s3:GetObject for s3://shop-lake/events/a',
      hint: 'allow {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::shop-lake/events/a*"}',
    });
  });

  test('an archived object', async () => {
    const { store, object } = await withObject('events/b', 'abc\n');
    server.answer = () => s3Answer(403, 'InvalidObjectState');
    expect(await reported(textOf(store, object))).toMatchObject({
      message: 'the object events/b of shop-lake is archived',
      hint: expect.stringContaining('restore'),
    });
  });

  test('an access key that S3 does not know', async () => {
    environment({
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'wrong',
      AWS_ENDPOINT_URL_S3: server.endpoint,
    });
    const error = await reported((await open()).list());
    expect(error).toMatchObject({ message: 'AWS rejects the credentials', hint: expect.stringContaining('renew') });
    expect(error.why).toContain('InvalidAccessKeyId');
    expect(JSON.stringify(error)).not.toContain('AKIAIOSFODNN7EXAMPLE');
  });

  test('no credentials', async () => {
    environment({ AWS_ENDPOINT_URL_S3: server.endpoint });
    expect(await reported((await open()).list())).toMatchObject({
      message: 'no AWS credentials were found',
      hint: expect.stringContaining('AWS_PROFILE'),
    });
    expect(server.calls).toEqual([]);
  });

  test('an endpoint where nothing listens', async () => {
    environment({ ...S3_ENVIRONMENT, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' });
    expect(await reported((await open()).list())).toMatchObject({
      message: 'http://127.0.0.1:1 cannot be read',
      why: expect.stringContaining('ECONNREFUSED'),
      hint: 'check AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL, and that S3 listens there',
    });
  });

  test.each([
    ['JSON', 200, 'application/json', '{}'],
    ['nothing', 200, 'text/plain', ''],
    ['a page', 200, 'text/html', '<html><body><p>Hello<br></body></html>'],
    ['a page that is not found', 404, 'text/html', '<html><body>Not found</body></html>'],
    ['XML of another kind', 200, 'application/xml', '<Other><Name>b</Name></Other>'],
  ])('an endpoint that answers with %s', async (_, status, type, body) => {
    const other = createServer((asked, answer) => {
      asked.resume();
      answer.writeHead(status, { 'content-type': type }).end(body);
    });
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    const endpoint = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    environment({ ...S3_ENVIRONMENT, AWS_ENDPOINT_URL_S3: endpoint });
    try {
      const error = await reported((await open()).list());
      expect(error.message).toMatch(new RegExp(`^${endpoint} (cannot be read|does not speak the protocol of S3)$`));
      expect(error.hint).toBe('check AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL, and that S3 listens there');
      expect(error.why).toBeTruthy();
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });

  test.each(['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'])('%s that is no URL', async (name) => {
    environment({ ...S3_ENVIRONMENT, [name]: 'localhost:9000' });
    expect(await reported(open())).toEqual({
      message: `the environment variable ${name} is not the URL of an S3`,
      why: undefined,
      hint: 'use http://host:port or https://host',
      exitCode: 2,
    });
  });
});
