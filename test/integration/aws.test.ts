import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { preflight } from '../../src/preflight/preflight.ts';
import { FirehoseSink } from '../../src/sinks/firehose/firehose-sink.ts';
import { type Answer, AwsFront, awsAnswer } from './aws-front.ts';
import { type Cdc, Fixture, startCdcWith, until } from './pipeline-fixture.ts';

/** What AWS answers while it is not ready, and what changes while the daemon runs: credentials and clocks. */

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIAFIRST0000000000', AWS_SECRET_ACCESS_KEY: 's' };
/** No file and no instance of this machine gives credentials. */
const NOTHING = {
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_PROFILE: undefined,
  AWS_CONFIG_FILE: '/nonexistent/config',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent/credentials',
  AWS_EC2_METADATA_DISABLED: 'true',
};

let fixture: Fixture;
let front: AwsFront;
let endpoint: string;
const daemons: Cdc[] = [];

beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), `aws_${process.pid}`);
  await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
  front = new AwsFront((await fixture.startFirehose()).endpoint);
  endpoint = await front.listen();
  configure();
  fixture.env = { ...NOTHING, ...KEYS };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  for (const { child } of daemons.splice(0)) child.kill('SIGKILL');
  await front.close();
  await fixture.remove();
});

function configure(firehose = ''): void {
  writeFileSync(join(fixture.directory, 'cdc.yaml'), yaml(firehose));
}

const yaml = (firehose = ''): string => `name: shop
source: { url: "${fixture.url}" }
tables: ["${fixture.schema}.*"]
firehose: { stream: changes, region: eu-west-1, endpoint: "${endpoint}", linger: 20ms${firehose} }
`;

async function run(): Promise<Cdc> {
  const daemon = await fixture.run();
  daemons.push(daemon);
  return daemon;
}

const check = () =>
  preflight(
    parseConfig(yaml(), { file: 'cdc.yaml', directory: fixture.directory, env: {} }),
    new AbortController().signal,
  );

function stubEnv(env: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
}

/** The end of the test: a row that was inserted now arrives, and SIGTERM ends the daemon with 0. */
async function deliversAndEnds(daemon: Cdc): Promise<void> {
  await fixture.delivered();
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ code: 0 });
}

const html = (status: number): Answer => ({ status, type: 'text/html', body: '<html>secret-page</html>' });

const CREATING = JSON.stringify({
  DeliveryStreamDescription: {
    DeliveryStreamName: 'changes',
    DeliveryStreamStatus: 'CREATING',
    DeliveryStreamType: 'DirectPut',
    Destinations: [],
  },
});

describe('what can heal', () => {
  test.each<[string, Answer]>([
    ['503 with a page', html(503)],
    ['502 with a page', html(502)],
    ['429 with a page', html(429)],
    ['200 with a page', html(200)],
    ['407 with a page', html(407)],
    ['500 without a type', { status: 500, body: '{}' }],
    ['429 without a body', { status: 429 }],
    ['ServiceUnavailableException', awsAnswer('ServiceUnavailableException', 'Slow down.', 503)],
    ['InternalFailure', awsAnswer('InternalFailure', 'x', 500)],
    ['ExpiredTokenException', awsAnswer('ExpiredTokenException', 'The security token is expired')],
  ])('%s at the start is an error of the check that cdc run waits for, with its status', async (_, answer) => {
    stubEnv(fixture.env);
    front.answer = () => answer;
    const findings = await check();
    expect(findings).toMatchObject([{ severity: 'error', transient: true }]);
    expect(JSON.stringify(findings)).not.toMatch(/Unexpected token|secret-page/);
    if (answer.type === 'text/html') expect(findings[0]?.why).toContain(`HTTP ${answer.status}`);
  });

  test('a Firehose that answers with a page is waited for: check says 3, run delivers once it answers', async () => {
    front.answer = () => html(503);
    const checked = startCdcWith(fixture.env, fixture.directory, 'check');
    const daemon = await run();
    expect(await checked.ended).toMatchObject({ code: 3 });
    expect(daemon.stderr()).toMatch(/does not answer as Amazon Data Firehose/);
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1)`);
    await until(() => daemon.stderr().includes('did not accept events; retrying'));
    front.answer = () => undefined;
    await deliversAndEnds(daemon);
    expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 1 });
  });

  test('a stream that is being created is waited for', async () => {
    front.answer = (operation) =>
      operation === 'DescribeDeliveryStream'
        ? { status: 200, body: CREATING }
        : awsAnswer('ResourceNotFoundException', 'Firehose changes under account 000000000000 not found.');
    const checked = startCdcWith(fixture.env, fixture.directory, 'check');
    const daemon = await run();
    expect(await checked.ended).toMatchObject({ code: 3, stdout: expect.stringContaining('is CREATING') });
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1)`);
    await until(() => front.calls.some(({ operation }) => operation === 'PutRecordBatch'));
    const retries = () => daemon.stderr().includes('did not accept events; retrying');
    await until(() => retries() || daemon.child.exitCode !== null);
    expect([daemon.child.exitCode, daemon.stderr()]).toEqual([null, expect.stringContaining('is CREATING')]);
    let described = 0;
    front.answer = (operation) => {
      if (operation !== 'DescribeDeliveryStream') return awsAnswer('ResourceNotFoundException', 'not found');
      described++;
      return awsAnswer('ThrottlingException', 'Rate exceeded');
    };
    await until(() => described > 1 || daemon.child.exitCode !== null);
    expect(daemon.child.exitCode).toBeNull();
    front.answer = () => undefined;
    await deliversAndEnds(daemon);
  });

  test.each([
    ['not found', awsAnswer('ResourceNotFoundException', 'not found'), 'ACTIVE'],
    ['invalid, after one that was CREATING', awsAnswer('InvalidArgumentException', 'not active'), 'CREATING'],
  ])(
    'a stream that becomes ACTIVE between a rejection and its description delivers: %s',
    async (_, rejection, first) => {
      const rejections = first === 'CREATING' ? 2 : 1;
      let rejected = 0;
      front.answer = (operation) => {
        if (operation === 'PutRecordBatch') return rejected++ < rejections ? rejection : undefined;
        const isCreating = operation === 'DescribeDeliveryStream' && first === 'CREATING' && rejected === 1;
        return isCreating ? { status: 200, body: CREATING } : undefined;
      };
      const daemon = await run();
      await deliversAndEnds(daemon);
      expect(rejected).toBeGreaterThan(rejections);
      // The log has the first reason.
      expect(daemon.stderr()).toContain(first === 'CREATING' ? 'is CREATING' : 'is ACTIVE now');
    },
  );

  test('a credentials provider that is not up yet is waited for, and SIGTERM ends the wait with 0', async () => {
    const provider = createServer((_, response) => {
      const Expiration = new Date(Date.now() + 3_600_000).toISOString();
      response.end(JSON.stringify({ AccessKeyId: 'ASIACONTAINER', SecretAccessKey: 's', Token: 't', Expiration }));
    });
    await new Promise<void>((done) => provider.listen(0, '127.0.0.1', done));
    const { port } = provider.address() as AddressInfo;
    await new Promise((done) => provider.close(done));
    fixture.env = { ...NOTHING, AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/credentials` };
    const waiting = await run();
    expect(waiting.stderr()).toMatch(/no AWS credentials were found/);
    waiting.child.kill('SIGTERM');
    expect(await waiting.ended).toMatchObject({ code: 0 });
    const daemon = await run();
    await new Promise<void>((done) => provider.listen(port, '127.0.0.1', done));
    await deliversAndEnds(daemon);
    expect(front.calls.some(({ keyId }) => keyId === 'ASIACONTAINER')).toBe(true);
    provider.closeAllConnections();
    await new Promise((done) => provider.close(done));
  });
});

describe('what cannot heal ends the start with 3', () => {
  test.each([
    ['ResourceNotFoundException', 'there is no stream changes'],
    ['UnrecognizedClientException', 'AWS rejects the credentials'],
    ['ValidationException', 'does not answer as Amazon Data Firehose'],
  ])('%s', async (type, expected) => {
    stubEnv(fixture.env);
    front.answer = () => awsAnswer(type, 'no');
    const [finding] = await check();
    expect(finding).toMatchObject({ severity: 'error', what: expect.stringContaining(expected) });
    expect(finding?.transient).toBeUndefined();
  });

  test('a profile that no file has, naming the nearest', async () => {
    const file = join(fixture.directory, 'credentials');
    writeFileSync(file, '[production]\naws_access_key_id = AKIAX\naws_secret_access_key = s\n');
    fixture.env = { ...NOTHING, AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: 'prodution' };
    const { code, stderr } = await startCdcWith(fixture.env, fixture.directory, 'run').ended;
    expect(code).toBe(3);
    expect(stderr).toMatch(/AWS_PROFILE is prodution/);
    expect(stderr).toMatch(/for example to production/);
  });
});

test('what the stream does with records is read from its description, and ends the start with 3', async () => {
  front.answer = () => ({ status: 200, body: JSON.stringify({ DeliveryStreamDescription: PARTITIONED }) });
  configure(', aggregate: { max_events: 10000 }');
  const { code, stderr } = await startCdcWith(fixture.env, fixture.directory, 'run').ended;
  expect(code).toBe(3);
  expect(stderr).toMatch(/max_events is 10000, and the stream changes partitions dynamically/);
});

const PARTITIONED = {
  DeliveryStreamName: 'changes',
  DeliveryStreamStatus: 'ACTIVE',
  DeliveryStreamType: 'DirectPut',
  Destinations: [
    {
      DestinationId: '1',
      ExtendedS3DestinationDescription: {
        DynamicPartitioningConfiguration: { Enabled: true },
        ProcessingConfiguration: {
          Enabled: true,
          Processors: [
            { Type: 'RecordDeAggregation', Parameters: [{ ParameterName: 'SubRecordType', ParameterValue: 'JSON' }] },
          ],
        },
      },
    },
  ],
};

test('a stream that does not exist is reported with the names that are nearly the same', async () => {
  stubEnv(fixture.env);
  const text = yaml().replace('stream: changes', 'stream: change');
  const config = parseConfig(text, { file: 'cdc.yaml', directory: fixture.directory, env: {} });
  const [finding] = await preflight(config, new AbortController().signal);
  expect(finding).toMatchObject({ what: 'there is no stream change in eu-west-1' });
  expect(finding?.fix).toMatch(/^did you mean changes\?/);
});

describe('a clock that is off', () => {
  test.each([
    ['behind', 20 * 60_000, /clock of this machine is 20 minutes behind/],
    ['ahead of', -3 * 3_600_000, /clock of this machine is 3 hours ahead of/],
  ])('%s that of AWS at the start is corrected, and said', async (_, offset, expected) => {
    front.clockOffsetMs = offset;
    const daemon = await run();
    expect(daemon.stderr()).toMatch(expected);
    await deliversAndEnds(daemon);
  });

  test('while it runs is corrected, and said', async () => {
    const daemon = await run();
    await fixture.delivered();
    front.clockOffsetMs = 30 * 60_000;
    await fixture.delivered();
    expect(daemon.stderr()).toMatch(/clock of this machine is 30 minutes behind/);
    await deliversAndEnds(daemon);
  });

  test('does not excuse a wrong secret', async () => {
    front.clockOffsetMs = 20 * 60_000;
    front.keys = new Set(['AKIAOTHER']);
    const { code, stderr } = await startCdcWith(fixture.env, fixture.directory, 'run').ended;
    expect(code).toBe(3);
    expect(stderr).toMatch(/AWS rejects the credentials/);
  });
});

describe('credentials that are rotated', () => {
  const credentials = (id: string): string =>
    `[default]\naws_access_key_id = ${id}\naws_secret_access_key = s\naws_session_token = t\n`;

  test('in the shared file are read again', async () => {
    const file = join(fixture.directory, 'credentials');
    writeFileSync(file, credentials('ASIAFIRST'));
    fixture.env = { ...NOTHING, AWS_SHARED_CREDENTIALS_FILE: file };
    front.keys = new Set(['ASIAFIRST']);
    const daemon = await run();
    await fixture.delivered();
    writeFileSync(file, credentials('ASIASECOND'));
    front.keys = new Set(['ASIASECOND']);
    await deliversAndEnds(daemon);
    expect(daemon.stderr()).not.toMatch(/ASIA/);
  });

  test.each([
    ['UnrecognizedClientException', 'The security token included in the request is invalid.'],
    ['ExpiredTokenException', 'The security token included in the request is expired'],
    ['InvalidSignatureException', 'The request signature we calculated does not match the signature you provided.'],
    ['AccessDeniedException', 'User: arn:aws:iam::1:user/old is not authorized to perform: firehose:PutRecordBatch'],
  ])('are asked for again after %s, before the stream counts as rejecting', async (type, message) => {
    const file = join(fixture.directory, 'credentials');
    stubEnv({ ...NOTHING, AWS_SHARED_CREDENTIALS_FILE: file });
    writeFileSync(file, credentials('ASIAFIRST'));
    const sink = new FirehoseSink({ stream: 'changes', region: 'eu-west-1', endpoint });
    const send = async () => (await sink.send([{ buffers: [Buffer.from('{}\n')] }], new AbortController().signal))[0];
    expect(await send()).toEqual({ kind: 'accepted' });
    writeFileSync(file, credentials('ASIASECOND'));
    front.answer = () => (front.answer = () => undefined)() ?? awsAnswer(type, message);
    const retried = { kind: 'throttled', reason: expect.stringMatching(`${type}.*credentials were replaced`) };
    expect(await send()).toEqual(retried);
    expect(await send()).toEqual({ kind: 'accepted' });
    expect(front.calls.map(({ keyId }) => keyId)).toEqual(['ASIAFIRST', 'ASIAFIRST', 'ASIASECOND']);
    sink.close();
  });

  test('by a process of the profile are asked for again', async () => {
    const [file, config] = ['key', 'config'].map((name) => join(fixture.directory, name)) as [string, string];
    const output = (id: string) => JSON.stringify({ Version: 1, AccessKeyId: id, SecretAccessKey: 's' });
    writeFileSync(file, output('ASIAFIRST'));
    writeFileSync(config, `[default]\ncredential_process = cat ${file}\n`);
    fixture.env = { ...NOTHING, AWS_CONFIG_FILE: config };
    front.keys = new Set(['ASIAFIRST']);
    const daemon = await run();
    await fixture.delivered();
    writeFileSync(file, output('ASIASECOND'));
    front.keys = new Set(['ASIASECOND']);
    await deliversAndEnds(daemon);
  });

  test('into ones that AWS rejects end the daemon with the reason', async () => {
    front.keys = new Set([KEYS.AWS_ACCESS_KEY_ID]);
    const daemon = await run();
    await fixture.delivered();
    front.keys = new Set();
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1)`);
    const { code, stderr } = await daemon.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/UnrecognizedClientException/);
    expect(stderr).not.toContain(KEYS.AWS_ACCESS_KEY_ID);
  });
});

describe('credentials that are new at each look-up', () => {
  const replaced = { kind: 'throttled', reason: expect.stringMatching(/credentials were replaced/) };
  const rejected = { kind: 'rejected', scope: 'stream' };
  let sink: FirehoseSink;

  beforeEach(() => {
    const [script, config] = ['key.sh', 'config'].map((name) => join(fixture.directory, name)) as [string, string];
    const output = JSON.stringify({ Version: 1, AccessKeyId: 'ASIA%s', SecretAccessKey: 's' });
    writeFileSync(script, `printf '${output}' "$(date +%s%N)"\n`);
    writeFileSync(config, `[default]\ncredential_process = sh ${script}\n`);
    stubEnv({ ...NOTHING, AWS_CONFIG_FILE: config });
    sink = new FirehoseSink({ stream: 'changes', region: 'eu-west-1', endpoint });
  });
  afterEach(() => sink.close());

  const send = async () => (await sink.send([{ buffers: [Buffer.from('{}\n')] }], new AbortController().signal))[0];

  test('excuse one denial between two accepted records, however slow the answers are', async () => {
    const denied = awsAnswer('AccessDeniedException', 'User: x is not authorized to perform: firehose:PutRecordBatch');
    front.answer = () => sleep(1_100, denied);
    // Both were under way with the first key.
    expect(await Promise.all([send(), send()])).toEqual([replaced, replaced]);
    expect(await send()).toMatchObject(rejected);
    front.answer = () => undefined;
    expect(await send()).toEqual({ kind: 'accepted' });
    front.answer = () => denied;
    expect(await send()).toEqual(replaced);
    expect(await send()).toMatchObject(rejected);
    expect(new Set(front.calls.map(({ keyId }) => keyId)).size).toBe(3);
  });

  test('are waited for no longer than AWS needs to know one key', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    front.keys = new Set();
    const outcomes = [await send()];
    while (outcomes.at(-1)?.kind !== 'rejected' && outcomes.length < 40) {
      vi.advanceTimersByTime(1_300);
      outcomes.push(await send());
    }
    expect(outcomes[0]).toEqual(replaced);
    expect(outcomes[1]).toMatchObject({ reason: expect.stringMatching(/does not know the new access key yet/) });
    expect(outcomes.at(-1)).toMatchObject(rejected);
  });
});
