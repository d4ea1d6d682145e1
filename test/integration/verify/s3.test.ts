import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { listObjects } from '../../../src/lake/objects.ts';
import { rowsOf } from '../backfill/backfill-fixture.ts';
import { type Ended, startCdcWith } from '../pipeline-fixture.ts';
import { S3_ENVIRONMENT, S3Server, s3Answer } from '../s3-server.ts';
import { type Report, VerifyFixture } from './verify-fixture.ts';

const PREFIX = 'events/shop/';
const server = new S3Server();
let bed: VerifyFixture;
beforeAll(async () => {
  await server.start();
  bed = new VerifyFixture(inject('mysqlUrl'), 'verify_s3');
  await bed.createSchema('CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40))', ...rowsOf('a', 2_000));
  await bed.start();
  await bed.copy('a');
  await bed.query(`USE ${bed.schema}`, "UPDATE a SET v = 'changed' WHERE id <= 20", 'DELETE FROM a WHERE id = 30');
  await bed.delivered();
  await upload();
});
beforeEach(() => {
  server.reset();
  inBucket(`s3://${server.bucket}/${PREFIX}`);
});
afterAll(async () => {
  await bed?.remove();
  await server.stop();
});

/** The lake as it is in the folder, every second object as gzip. */
async function upload(change: (text: string) => string = (text) => text): Promise<void> {
  for (const [i, { path }] of (await listObjects(bed.lake, '')).entries()) {
    const text = change(readFileSync(path, 'utf8'));
    await server.put(`${PREFIX}${relative(bed.lake, path)}`, i % 2 ? gzipSync(text) : text);
  }
}

const inBucket = (lake: string): void => bed.configureAs(bed.firehose?.endpoint ?? '', `lake: ${lake}`);

async function verify(...words: string[]): Promise<Ended & { report: Report | undefined }> {
  const env: Record<string, string | undefined> = {};
  for (const name of Object.keys(process.env)) if (/^AWS_|_PROXY$/i.test(name)) env[name] = undefined;
  Object.assign(env, S3_ENVIRONMENT, { AWS_ENDPOINT_URL_S3: server.endpoint, AWS_REGION: 'us-east-1' });
  const ended = await startCdcWith(env, bed.directory, 'verify', 'verify_s3.a', '--json', ...words).ended;
  return { ...ended, report: ended.stdout === '' ? undefined : JSON.parse(ended.stdout) };
}

test('a lake in S3 is compared as one in a folder', async () => {
  const { report, code, stderr } = await verify();
  expect(report, stderr).toMatchObject({ ok: true, damage: [] });
  expect(report?.tables).toMatchObject([{ rows: 1_999, lakeRows: 1_999, missing: 0, extra: 0, different: 0 }]);
  expect(report?.objects).toBe((await listObjects(bed.lake, '')).length);
  expect(code).toBe(0);
  // Each object is read once.
  const keys = server.calls.filter(({ list }) => !list).map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
});

test('what differs is found, and an object that is replaced is read again', async () => {
  await upload((text) => text.replaceAll(/.*"after":\{"id":7,.*\n/g, '').replaceAll('"after":{"id":8,"v":"', '$&z'));
  const { report, code } = await verify();
  expect(report?.tables[0]?.differences).toEqual(
    expect.arrayContaining([
      { kind: 'missing', key: '{"id":7}', columns: [] },
      { kind: 'different', key: '{"id":8}', columns: ['v'] },
    ]),
  );
  expect([report?.tables[0]?.missing, report?.tables[0]?.different, code]).toEqual([1, 1, 4]);
  await upload();
  expect((await verify()).code).toBe(0);
});

test('an object that is cut on its way, and a list that is throttled, are asked for again', async () => {
  let throttled = 0;
  server.answer = ({ list }) => (list && ++throttled < 3 ? s3Answer(503, 'SlowDown') : undefined);
  server.cutAfter = ({ list, range }) => (list || range !== undefined ? undefined : 100);
  const { code, stderr } = await verify();
  expect([code, stderr]).toEqual([0, '']);
});

test('an object that cannot be read is an error, and not a shorter lake', async () => {
  server.answer = ({ list }) => (list ? undefined : s3Answer(403, 'AccessDenied'));
  const { code, stdout, stderr } = await verify();
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('do not allow s3:GetObject');
});

test('a bucket that is not there is an error that says so', async () => {
  inBucket('s3://no-such-lake/events/');
  const { code, stdout, stderr } = await verify();
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('there is no bucket no-such-lake');
  expect(stderr).toContain('correct the bucket in lake');
});

test('a prefix without objects has none of the rows', async () => {
  inBucket(`s3://${server.bucket}/nothing/`);
  const { report, code } = await verify('--list', '1');
  expect([report?.tables[0]?.missing, report?.objects, code]).toEqual([1_999, 0, 4]);
});
