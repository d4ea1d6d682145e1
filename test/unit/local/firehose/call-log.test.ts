import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type CallLogEntry, decodeEntry, encodeEntry, openCallLog } from '../../../../src/local/firehose/call-log.ts';
import { createObjectBuffer } from '../../../../src/local/firehose/object-buffer.ts';

const folder = mkdtempSync(join(tmpdir(), 'ledger-'));
let files = 0;
const newPath = () => join(folder, `made/on/demand/${files++}.ndjson`);
let handles: FileHandle;

beforeAll(async () => {
  const file = await open(join(folder, 'any'), 'w');
  handles = Object.getPrototypeOf(file);
  await file.close();
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => rmSync(folder, { recursive: true }));

const entry = (call: number, ...data: (string | Buffer)[]): CallLogEntry => ({
  call,
  at: '2026-01-02T03:04:05.678Z',
  operation: 'PutRecordBatch',
  stream: 's',
  fault: null,
  rule: null,
  status: 200,
  answered: 'ok',
  records: data.map((bytes) => ({ accepted: true, stored: true, code: null, data: Buffer.from(bytes) })),
});
const read = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1).map(decodeEntry);

describe('entries of the call log', () => {
  test('an entry is one line with readable text and exact binary data', () => {
    const bytes = Buffer.from([0xff, 0x00, 0x0a]);
    const line = encodeEntry(entry(1, '{"a":"ü\n"}\n', bytes));
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(line).records).toMatchObject([{ data: '{"a":"ü\n"}\n' }, { base64: '/wAK' }]);
    expect(decodeEntry(line)).toEqual(entry(1, '{"a":"ü\n"}\n', bytes));
  });
});

describe('the file of the call log', () => {
  test('an existing file is continued without its incomplete last line', async () => {
    const path = newPath();
    const first = await openCallLog(path);
    await first.append(entry(1, 'a'));
    await first.close();
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole + encodeEntry(entry(2, 'x'.repeat(200_000))).slice(0, -1));
    const second = await openCallLog(path);
    expect(readFileSync(path, 'utf8')).toBe(whole);
    await second.append(entry(1, 'b'));
    await second.close();
    expect(read(path)).toEqual([entry(1, 'a'), entry(1, 'b')]);
    expect(readdirSync(join(path, '..')).filter((name) => name.includes('lock'))).toEqual([]);
  });

  test('a file of another kind is not written to', async () => {
    const path = join(folder, 'notes.txt');
    writeFileSync(path, 'precious, without a line end');
    await expect(openCallLog(path)).rejects.toMatchObject({ exitCode: 2, message: `${path} is not a ledger` });
    expect(readFileSync(path, 'utf8')).toBe('precious, without a line end');
  });

  test('a second writer is rejected', async () => {
    const path = newPath();
    const callLog = await openCallLog(path);
    await expect(openCallLog(path)).rejects.toMatchObject({
      message: expect.stringContaining('another local Firehose'),
    });
    await callLog.close();
    await (await openCallLog(path)).close();
  });

  test('a file that cannot be created is a clear error', async () => {
    await expect(openCallLog(folder)).rejects.toMatchObject({
      name: 'CdcError',
      message: `cannot write the ledger ${folder}`,
      hint: expect.stringContaining('--ledger'),
    });
  });

  test('an entry is confirmed after it is synced, and waiting calls share one sync', async () => {
    const path = newPath();
    const callLog = await openCallLog(path);
    const original = handles.datasync;
    let release = () => {};
    const opened = new Promise<void>((resolve) => (release = resolve));
    const sync = vi.spyOn(handles, 'datasync').mockImplementation(async function (this: FileHandle) {
      await opened;
      return original.call(this);
    });
    let confirmed = 0;
    const first = callLog.append(entry(1)).then(() => confirmed++);
    await vi.waitFor(() => expect(sync).toHaveBeenCalledTimes(1), { timeout: 30_000 });
    const others = Array.from({ length: 20 }, (_, i) => callLog.append(entry(i + 2)).then(() => confirmed++));
    await sleep(50);
    expect(confirmed).toBe(0);
    release();
    await Promise.all([first, ...others]);
    expect(sync).toHaveBeenCalledTimes(2);
    expect(read(path).map(({ call }) => call)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
    await callLog.close();
  });

  test('an entry is not confirmed after a failed sync, and the next entry overwrites it', async () => {
    const path = newPath();
    const callLog = await openCallLog(path);
    await callLog.append(entry(1));
    vi.spyOn(handles, 'datasync').mockRejectedValueOnce(new Error('no space'));
    await expect(callLog.append(entry(2, 'long'.repeat(100)))).rejects.toThrow('no space');
    await callLog.append(entry(3));
    await callLog.close();
    expect(read(path).map(({ call }) => call)).toEqual([1, 3]);
  });
});

describe('the spool with a call log', () => {
  async function syncsOf(durable: boolean): Promise<number> {
    const spool = mkdtempSync(join(folder, 'spool-'));
    const folders = { lake: join(spool, 'lake'), spool, durable };
    const buffer = createObjectBuffer(folders, 'one', { object: 's/o', gzip: false });
    const sync = vi.spyOn(handles, 'datasync');
    buffer.stage(Buffer.from('x'));
    await buffer.commit();
    const count = sync.mock.calls.length;
    await buffer.deliver();
    return count;
  }

  test('data and length are synced only if the spool is durable', async () => {
    expect(await syncsOf(true)).toBe(2);
    vi.restoreAllMocks();
    expect(await syncsOf(false)).toBe(0);
  });
});
