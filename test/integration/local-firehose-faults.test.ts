import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { FirehoseClient, PutRecordBatchCommand, PutRecordCommand } from '@aws-sdk/client-firehose';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { firehoseCommand } from '../../src/commands/firehose.ts';
import { type CallLogEntry, decodeEntry } from '../../src/local/firehose/call-log.ts';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';
import { type LocalFirehoseOptions, startLocalFirehose } from '../../src/local/firehose/server.ts';

type Rule = FaultPlan['rules'][number];

const folder = mkdtempSync(join(tmpdir(), 'local-firehose-faults-'));
const closing: (() => Promise<unknown> | unknown)[] = [];
let lakes = 0;

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Polls without end: the test's own limit ends what hangs, and a machine can be slow. */
async function seen(condition: () => boolean, intervalMs = 5): Promise<void> {
  while (!condition()) await sleep(intervalMs);
}

function clientFor(endpoint: string): FirehoseClient {
  const client = new FirehoseClient({
    region: 'us-east-1',
    endpoint,
    maxAttempts: 1,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    requestHandler: { requestTimeout: 2_500, throwOnRequestTimeout: true, httpAgent: { keepAlive: true } },
  });
  closing.push(() => client.destroy());
  return client;
}

async function start(rules: Rule[], options: Partial<LocalFirehoseOptions> = {}) {
  const lake = join(folder, `lake-${lakes++}`);
  const ledger = `${lake}.ndjson`;
  const calls: CallLogEntry[] = [];
  const firehose = await startLocalFirehose({
    listen: { host: '127.0.0.1', port: 0 },
    lake,
    streams: [{ name: 's' }],
    faults: { rules },
    ledger,
    onCall: (entry) => calls.push(copyOf(entry)),
    ...options,
  });
  closing.push(() => firehose.close().catch(() => {}));
  return { firehose, lake, ledger: () => readLedger(ledger), calls, client: clientFor(firehose.endpoint) };
}

const copyOf = (entry: CallLogEntry): CallLogEntry => ({
  ...entry,
  records: entry.records.map((record) => ({ ...record, data: Buffer.from(record.data) })),
});

const readLedger = (path: string): CallLogEntry[] =>
  readFileSync(path, 'utf8').split('\n').slice(0, -1).map(decodeEntry);

const put = (client: FirehoseClient, ...records: string[]) =>
  client.send(
    new PutRecordBatchCommand({
      DeliveryStreamName: 's',
      Records: records.map((Data) => ({ Data: Buffer.from(Data) })),
    }),
    // The SDK's own timeout ends with the head of the answer.
    { abortSignal: AbortSignal.timeout(4_000) },
  );

const putOne = (client: FirehoseClient, data: string) =>
  client.send(new PutRecordCommand({ DeliveryStreamName: 's', Record: { Data: Buffer.from(data) } }));

const lakeText = (lake: string): string =>
  readdirSync(lake, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('');

/** `+` accepted, `s` stored without being accepted, `-` neither. */
const fates = ({ records }: CallLogEntry): string =>
  records.map(({ accepted, stored }) => (accepted ? '+' : stored ? 's' : '-')).join('');

const OK = { RecordId: expect.any(String) };
const SLOW = { ErrorCode: 'ServiceUnavailableException', ErrorMessage: 'Slow down.' };
const INTERNAL = { ErrorCode: 'InternalFailure', ErrorMessage: expect.any(String) };

interface Case {
  rule: Rule;
  /** What the client gets: the answer, or the error. */
  seen: { answer: object } | { error: object };
  /** What the ledger says. */
  answered: string;
  status: number | null;
  fates: string;
}

/** Three records, a b c, are put against each rule. */
const CASES: Record<string, Case> = {
  'partial failures': {
    rule: { fault: 'partial', records: [1] },
    seen: { answer: { FailedPutCount: 1, RequestResponses: [OK, SLOW, OK] } },
    answered: 'ok',
    status: 200,
    fates: '+-+',
  },
  'partial failures that are stored all the same': {
    rule: { fault: 'partial', records: [0, 2], code: 'InternalFailure', stored: true },
    seen: { answer: { FailedPutCount: 2, RequestResponses: [INTERNAL, OK, INTERNAL] } },
    answered: 'ok',
    status: 200,
    fates: 's+s',
  },
  'a 200 in which all failed': {
    rule: { fault: 'all-fail' },
    seen: { answer: { FailedPutCount: 3, RequestResponses: [SLOW, SLOW, SLOW] } },
    answered: 'ok',
    status: 200,
    fates: '---',
  },
  'a 500 after storing': {
    rule: { fault: 'error', type: 'InternalFailure', stored: true },
    seen: { error: { name: 'InternalFailure', $metadata: expect.objectContaining({ httpStatusCode: 500 }) } },
    answered: 'InternalFailure',
    status: 500,
    fates: 'sss',
  },
  'another status and message': {
    rule: { fault: 'error', type: 'ServiceUnavailableException', status: 400, message: 'Not now.' },
    seen: {
      error: {
        name: 'ServiceUnavailableException',
        message: 'Not now.',
        $metadata: expect.objectContaining({ httpStatusCode: 400 }),
      },
    },
    answered: 'ServiceUnavailableException',
    status: 400,
    fates: '---',
  },
  'a reply that is lost': {
    rule: { fault: 'lost' },
    seen: { error: { code: 'ECONNRESET', message: 'socket hang up' } },
    answered: 'lost',
    status: null,
    fates: 'sss',
  },
  'a reply that is lost, of records that are too': {
    rule: { fault: 'lost', stored: false },
    seen: { error: { code: 'ECONNRESET', message: 'socket hang up' } },
    answered: 'lost',
    status: null,
    fates: '---',
  },
  'a hang': {
    rule: { fault: 'hang' },
    seen: { error: { name: 'TimeoutError' } },
    answered: 'hang',
    status: null,
    fates: '---',
  },
  'a hang after storing': {
    rule: { fault: 'hang', stored: true },
    seen: { error: { name: 'TimeoutError' } },
    answered: 'hang',
    status: null,
    fates: 'sss',
  },
  'a body cut short with its connection': {
    rule: { fault: 'truncated' },
    seen: { error: { code: 'ECONNRESET' } },
    answered: 'truncated',
    status: 200,
    fates: 'sss',
  },
  'half a body and then silence': {
    rule: { fault: 'truncated', cut: 'stall' },
    seen: { error: { name: 'AbortError' } },
    answered: 'truncated',
    status: 200,
    fates: 'sss',
  },
  'half a JSON document': {
    rule: { fault: 'truncated', cut: 'json' },
    seen: { error: { name: 'SyntaxError' } },
    answered: 'truncated',
    status: 200,
    fates: 'sss',
  },
  '200 {}': {
    rule: { fault: 'empty' },
    seen: { answer: expect.not.objectContaining({ RequestResponses: expect.anything() }) },
    answered: 'empty',
    status: 200,
    fates: 'sss',
  },
  'fewer results than records': {
    rule: { fault: 'short', missing: 2 },
    seen: { answer: { FailedPutCount: 0, RequestResponses: [OK] } },
    answered: 'short',
    status: 200,
    fates: 'sss',
  },
  'HTML with 502': {
    rule: { fault: 'html' },
    seen: { error: { $metadata: expect.objectContaining({ httpStatusCode: 502 }) } },
    answered: 'html',
    status: 502,
    fates: '---',
  },
  'HTML with 200': {
    rule: { fault: 'html', status: 200 },
    seen: { error: { name: 'SyntaxError' } },
    answered: 'html',
    status: 200,
    fates: '---',
  },
  'a quota of records': {
    rule: { fault: 'quota', records_per_second: 1 },
    seen: { answer: { FailedPutCount: 2, RequestResponses: [OK, SLOW, SLOW] } },
    answered: 'ok',
    status: 200,
    fates: '+--',
  },
  'poison for the call': {
    rule: { fault: 'poison', text: 'b' },
    seen: { error: { name: 'ValidationException', message: expect.stringContaining('records.2') } },
    answered: 'ValidationException',
    status: 400,
    fates: '---',
  },
  'poison for its slot': {
    rule: { fault: 'poison', text: 'b', fails: 'slot', code: 'RefusedForGood' },
    seen: { answer: { FailedPutCount: 1, RequestResponses: [OK, { ErrorCode: 'RefusedForGood' }, OK] } },
    answered: 'ok',
    status: 200,
    fates: '+-+',
  },
};

describe('each fault is seen by the client, entered in the ledger, and over when its rule is', () => {
  test.each(Object.entries(CASES))('%s', async (_, { rule, seen, answered, status, fates: expected }) => {
    const times = rule.fault === 'quota' ? {} : { times: 1 };
    const { client, firehose, lake, ledger, calls } = await start([{ ...rule, ...times } as Rule]);
    const outcome = put(client, 'a', 'b', 'c');
    if ('answer' in seen) expect(await outcome).toMatchObject(seen.answer);
    else await expect(outcome).rejects.toMatchObject(seen.error);
    if (rule.fault === 'quota') firehose.setFaults(undefined);
    expect(await put(client, 'd')).toMatchObject({ FailedPutCount: 0, RequestResponses: [OK] });

    expect(ledger()).toEqual(calls);
    const [first, second] = calls;
    expect(first).toMatchObject({ call: 1, stream: 's', fault: rule.fault, rule: 0, answered, status });
    expect(first!.records.map(({ data }) => String(data))).toEqual(['a', 'b', 'c']);
    expect(fates(first!)).toBe(expected);
    expect(second).toMatchObject({ call: 2, fault: null, rule: null, answered: 'ok', status: 200 });
    expect(fates(second!)).toBe('+');

    await firehose.close();
    const stored = calls.flatMap(({ records }) => records.filter((one) => one.stored).map(({ data }) => String(data)));
    expect(lakeText(lake)).toBe(stored.join(''));
  });

  test.each([
    'ServiceUnavailableException',
    'ThrottlingException',
    'LimitExceededException',
    'ResourceNotFoundException',
    'AccessDeniedException',
    'InvalidArgumentException',
    'InvalidKMSResourceException',
    'ExpiredTokenException',
  ])('%s', async (type) => {
    const { client, ledger } = await start([{ fault: 'error', type }]);
    const httpStatusCode = type === 'ServiceUnavailableException' ? 503 : 400;
    await expect(put(client, 'a')).rejects.toMatchObject({ name: type, $metadata: { httpStatusCode } });
    expect(ledger()).toMatchObject([{ answered: type, status: httpStatusCode, records: [{ stored: false }] }]);
  });

  test('a connection reset before the body is read', async () => {
    const { client, ledger } = await start([{ fault: 'reset', times: 1 }]);
    await expect(put(client, 'x'.repeat(900_000), 'y'.repeat(900_000))).rejects.toMatchObject({
      code: expect.stringMatching(/ECONNRESET|EPIPE/),
    });
    await put(client, 'd');
    expect(ledger()).toMatchObject([
      { call: 1, stream: null, fault: 'reset', rule: 0, status: null, answered: 'reset', records: [] },
      { call: 2, fault: null },
    ]);
  });

  test('a late answer', async () => {
    const { client, calls } = await start([{ fault: 'slow', ms: 400 }]);
    const answer = put(client, 'a');
    const asked = performance.now();
    expect(await answer).toMatchObject({ FailedPutCount: 0 });
    expect(performance.now() - asked).toBeGreaterThan(350);
    expect(calls).toMatchObject([{ fault: 'slow', answered: 'ok', records: [{ accepted: true }] }]);
  });

  test('a failed slot of PutRecord is an error, for it has no slots', async () => {
    const { client, calls } = await start([
      { fault: 'partial', records: [0], calls: [1, 1] },
      { fault: 'all-fail', code: 'InternalFailure', stored: true, calls: [2, 2] },
      { fault: 'short', calls: [3, 3] },
    ]);
    await expect(putOne(client, 'a')).rejects.toMatchObject({
      name: 'ServiceUnavailableException',
      message: 'Slow down.',
    });
    await expect(putOne(client, 'b')).rejects.toMatchObject({ name: 'InternalFailure' });
    expect((await putOne(client, 'c')).RecordId).toBeUndefined();
    expect(await putOne(client, 'd')).toMatchObject(OK);
    expect(calls.map((entry) => `${entry.operation} ${entry.answered} ${fates(entry)}`)).toEqual([
      'PutRecord ServiceUnavailableException -',
      'PutRecord InternalFailure s',
      'PutRecord short s',
      'PutRecord ok +',
    ]);
  });
});

describe('plans', () => {
  test('are counted from 1 when they are set, and an invalid plan changes nothing', async () => {
    const { client, firehose, calls } = await start([]);
    await put(client, 'a');
    firehose.setFaults({ rules: [{ fault: 'all-fail', calls: [2, 2] }] });
    expect(() => firehose.setFaults({ rules: [{ fault: 'lost', rate: 3 }] })).toThrowError(
      expect.objectContaining({ exitCode: 2, why: 'rules[0].rate: must be a number from 0 to 1' }),
    );
    for (const data of ['b', 'c', 'd']) await put(client, data);
    expect(calls.map(({ call, fault }) => [call, fault])).toEqual([
      [1, null],
      [2, null],
      [3, 'all-fail'],
      [4, null],
    ]);
  });

  test('leave alone what Firehose refuses by itself, and the ledger says what that was', async () => {
    const { client, calls, ledger } = await start([{ fault: 'lost' }], { streams: [] });
    await expect(put(client, 'a')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await expect(put(client)).rejects.toMatchObject({ name: 'ValidationException' });
    expect(calls).toMatchObject([
      { stream: 's', fault: null, answered: 'ResourceNotFoundException', status: 400, records: [{ stored: false }] },
      { stream: null, fault: null, answered: 'ValidationException', status: 400, records: [] },
    ]);
    expect(ledger()).toEqual(calls);
  });

  test('that hang or wait do not hold up the end', async () => {
    const { client, firehose, lake, calls } = await start([
      { fault: 'hang', times: 1 },
      { fault: 'slow', ms: 60_000 },
    ]);
    const hanging = put(client, 'a').catch((error) => error);
    await seen(() => calls.length === 1);
    const waiting = put(client, 'b');
    await seen(() => calls.length === 2);
    const began = performance.now();
    await firehose.close();
    // The slow answer would take a minute.
    expect(performance.now() - began).toBeLessThan(50_000);
    expect(await hanging).toMatchObject({ code: 'ECONNRESET' });
    expect(await waiting).toMatchObject({ FailedPutCount: 0 });
    expect(existsSync(`${lake}.ndjson.lock`)).toBe(false);
  });
});

describe('the ledger', () => {
  test('that cannot be written keeps the answer from saying accepted, and the next call may be', async () => {
    const lines: string[] = [];
    const { client, calls, ledger } = await start([], { log: (line) => lines.push(line) });
    const file = await open(join(folder, 'any'), 'w');
    // Data and length in the spool, then the ledger.
    const sync = vi.spyOn(Object.getPrototypeOf(file) as FileHandle, 'datasync');
    sync.mockResolvedValueOnce().mockResolvedValueOnce().mockRejectedValueOnce(new Error('no space'));
    await file.close();
    await expect(put(client, 'a')).rejects.toMatchObject({ name: 'InternalFailure' });
    expect(sync).toHaveBeenCalledTimes(3);
    sync.mockRestore();
    expect(lines).toEqual(['could not write the ledger: no space']);
    await put(client, 'b');
    expect(ledger().map(({ call }) => call)).toEqual([2]);
    expect(calls).toEqual(ledger());
  });

  test('has whatever was answered as accepted, after a kill at any moment', async () => {
    const code = `
      const { startLocalFirehose } = await import(process.argv[1]);
      console.log((await startLocalFirehose(JSON.parse(process.argv[2]))).endpoint);`;
    const server = new URL('../../dist/local/firehose/server.js', import.meta.url).href;
    const lake = join(folder, `lake-${lakes++}`);
    const ledger = `${lake}.ndjson`;
    const options: LocalFirehoseOptions = {
      listen: { host: '127.0.0.1', port: 0 },
      lake,
      ledger,
      streams: [{ name: 's' }],
      faults: { rules: [{ fault: 'partial', rate: 0.5, records: 0.3, code: 'InternalFailure', stored: 0.5 }] },
    };
    const accepted = new Set<string>();
    let sent = 0;
    for (let round = 0; round < 4; round++) {
      const argv = ['--input-type=module', '--eval', code, server, JSON.stringify(options)];
      const child: ChildProcess = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
      closing.push(() => child.kill('SIGKILL'));
      const [endpoint] = await once(createInterface(child.stdout!), 'line');
      const client = clientFor(endpoint);
      const writer = async () => {
        for (;;) {
          const records = Array.from({ length: 20 }, () => `<${sent++}>`);
          try {
            const { RequestResponses } = await put(client, ...records);
            for (const [i, { RecordId }] of RequestResponses!.entries()) if (RecordId) accepted.add(records[i]!);
          } catch {
            return;
          }
        }
      };
      const before = accepted.size;
      const writers = Array.from({ length: 8 }, writer);
      await seen(() => accepted.size - before > 500 + 97 * round, 1);
      child.kill('SIGKILL');
      await Promise.all(writers);
    }
    const { firehose } = await start([], { lake, ledger });
    await firehose.close();
    const entered = readLedger(ledger).flatMap(({ records }) => records);
    const landed = new Set(lakeText(lake).match(/<\d+>/g));
    const acceptedInLedger = new Set(entered.filter((one) => one.accepted).map(({ data }) => String(data)));
    expect([...accepted].filter((record) => !acceptedInLedger.has(record))).toEqual([]);
    expect(entered.filter(({ stored, data }) => stored && !landed.has(String(data)))).toEqual([]);
    const neverStored = entered.filter(({ stored }) => !stored).map(({ data }) => String(data));
    expect(neverStored.length).toBeGreaterThan(0);
    expect(neverStored.filter((record) => landed.has(record))).toEqual([]);
  });
});

describe('cdc firehose', () => {
  function run(...argv: string[]) {
    const ending = new AbortController();
    const lines: string[] = [];
    const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text).trimEnd()) > 0);
    const lake = join(folder, `lake-${lakes++}`);
    const done = firehoseCommand(ending.signal)
      .exitOverride()
      .parseAsync(['--listen', '127.0.0.1:0', '--lake', lake, ...argv], { from: 'user' });
    closing.push(async () => {
      ending.abort();
      await done.catch(() => {});
      out.mockRestore();
    });
    const endpoint = async () => {
      await Promise.race([seen(() => lines.length > 0), done]);
      return /http:\S+\d/.exec(lines[0]!)![0];
    };
    return { lines, done, endpoint };
  }

  const planFile = (text: string): string => {
    const path = join(folder, `plan-${lakes++}.json`);
    writeFileSync(path, text);
    return path;
  };

  test('--faults and --ledger do what the plan says, and follow its file', async () => {
    const plan = planFile('{"rules": [{"fault": "all-fail"}]}');
    const ledger = join(folder, `calls-${lakes++}.ndjson`);
    const { lines, endpoint } = run('--faults', plan, '--ledger', ledger);
    const client = clientFor(await endpoint());
    expect(await put(client, 'a')).toMatchObject({ FailedPutCount: 1 });
    // Written until it is noticed: the watch notices no change that comes before its own first look.
    const writeUntil = (text: string, line: string) =>
      seen(() => {
        writeFileSync(plan, text);
        return lines.join('\n').includes(line);
      }, 600);
    await writeUntil('{"rules": [', 'is not a fault plan');
    expect(await put(client, 'b')).toMatchObject({ FailedPutCount: 1 });
    await writeUntil('{"rules": []}', 'read again, rules: 0');
    expect(await put(client, 'c')).toMatchObject({ FailedPutCount: 0 });
    expect(readLedger(ledger).map(({ fault }) => fault)).toEqual(['all-fail', 'all-fail', null]);
  });

  test.each([
    ['{"rules": [{"fault": "sloow"}]}', 'is not a fault plan', 'rules[0].fault: must be one of partial, all-fail'],
    ['rules: []', 'is not a fault plan', 'it is not JSON'],
  ])('--faults with the plan %s is refused with exit code 2, at once', async (text, message, why) => {
    await expect(run('--faults', planFile(text)).done).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining(message),
      why: expect.stringContaining(why),
      hint: expect.stringContaining('docs/LOCAL-FIREHOSE.md'),
    });
  });

  test('--faults with a file that is not there is refused with exit code 2', async () => {
    await expect(run('--faults', join(folder, 'no.json')).done).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('cannot be read'),
    });
  });
});
