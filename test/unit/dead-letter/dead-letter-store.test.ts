import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LARGE_FILE_BYTES } from '../../../src/dead-letter/dead-letter.ts';
import { DeadLetterStore } from '../../../src/dead-letter/dead-letter-store.ts';
import { letter, seqOf } from './dead-letters.ts';

const GIB = 1024 ** 3;
const BLOCK = 4096;

let root: string;
let directory: string;
let store: DeadLetterStore;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cdc-dead-letter-'));
  directory = join(root, 'state', 'dead-letter');
  store = new DeadLetterStore(directory, 'shop', GIB);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

const put = (name: string, text: string): void => writeFileSync(join(directory, name), text);
const fileOf = (n: number, pipeline = 'shop'): string => `${pipeline}.${seqOf(n)}.json`;

describe('a dead letter', () => {
  test('of more bytes than are read as one string is read as it was written, and so are those around it', async () => {
    // Characters of each length, over the ends of the pieces.
    const unit = 'aé€😀"\\\\\\u0001';
    const text = unit.repeat(Math.ceil(LARGE_FILE_BYTES / Buffer.byteLength(unit)) + 1);
    const event = Buffer.from(`{"after":{"t":"${text}"}}\n`);
    await store.write([letter(1, { event, key: '{"id":"\\"😀"}' }), letter(2)]);
    const stored = await store.read(seqOf(1));
    expect(stored.event.equals(event)).toBe(true);
    expect({ ...stored, event: undefined }).toMatchObject({ ...letter(1), key: '{"id":"\\"😀"}', event: undefined });
    expect(JSON.parse(readFileSync(join(directory, fileOf(1)), 'utf8')).event).toBe(event.toString());
    const { letters, unreadable } = await store.list();
    expect(letters.map(({ bytes }) => bytes)).toEqual([event.length, letter(2).event.length]);
    expect(unreadable).toEqual([]);
    expect([await store.isLarge(seqOf(1)), await store.isLarge(seqOf(2))]).toEqual([true, false]);
    // A damaged one is named like any other.
    const file = join(directory, fileOf(1));
    truncateSync(file, statSync(file).size - 5);
    await expect(store.read(seqOf(1))).rejects.toMatchObject({ why: 'a JSON string has no end' });
  });

  test('is read as it was written, event and key byte for byte', async () => {
    const key = '{"id":18446744073709551615,"d":1.10}';
    const event = Buffer.from('\ufeff{"key":{"id":18446744073709551615,"d":1.10},"s":"\\u0000\\"\u2028😀"}\n');
    await store.write([letter(1, { key, event, gtid: '0-1-7' }), letter(2, { key: null })]);
    const stored = await store.read(seqOf(1));
    expect(stored).toMatchObject({ ...letter(1), key, event, gtid: '0-1-7', at: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect((await store.read(seqOf(2))).key).toBeNull();
    const file = JSON.parse(readFileSync(join(directory, fileOf(1)), 'utf8'));
    expect(file).toMatchObject({ version: 1, pipeline: 'shop', key, event: event.toString() });
  });

  test('can contain any line that is UTF-8', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1 }), async (text) => {
        const event = Buffer.from(text);
        await store.write([letter(1, { event })]);
        expect((await store.read(seqOf(1))).event).toEqual(event);
      }),
      { numRuns: 50 },
    );
  });

  test('with bytes that are not UTF-8 is rejected', async () => {
    await expect(store.write([letter(1, { event: Buffer.from([0x22, 0xff, 0x22]) })])).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining(seqOf(1)),
    });
    expect(await store.ids()).toEqual([]);
  });

  test('can be read by its owner only, like the directory', async () => {
    await store.write([letter(1)]);
    expect(statSync(join(directory, fileOf(1))).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test('that is written again, as after a crash, is one file', async () => {
    await store.write([letter(1)]);
    await new DeadLetterStore(directory, 'shop', GIB).write([letter(1, { attempts: 5 })]);
    expect(readdirSync(directory)).toEqual([fileOf(1)]);
    expect((await store.read(seqOf(1))).attempts).toBe(5);
  });

  test('is synced before it is renamed, and the directory after that', async () => {
    const handle = await open(root, 'r');
    const prototype = Object.getPrototypeOf(handle) as { sync: () => Promise<void> };
    await handle.close();
    const order: string[] = [];
    const sync = prototype.sync;
    vi.spyOn(prototype, 'sync').mockImplementation(async function (this: { fd: number }) {
      const path = readlinkSync(`/proc/self/fd/${this.fd}`).slice(root.length);
      order.push(`${path.replace(/\.\d+\.tmp$/, '.tmp')} ${existsSync(join(directory, fileOf(1)))}`);
      await sync.call(this as never);
    });
    await store.write([letter(1)]);
    expect(order).toEqual(['/state false', `/state/dead-letter/${fileOf(1)}.tmp false`, '/state/dead-letter true']);
  });

  test('can be removed twice', async () => {
    await store.write([letter(1), letter(2)]);
    await store.remove(seqOf(1));
    await store.remove(seqOf(1));
    expect(await store.ids()).toEqual([seqOf(2)]);
    await expect(store.read(seqOf(1))).rejects.toMatchObject({ exitCode: 2, hint: expect.stringContaining('list') });
  });
});

describe('the limit', () => {
  const limited = () => new DeadLetterStore(directory, 'shop', 2 * BLOCK);

  test('rejects a dead letter that would exceed it with a fatal error and a hint, and keeps those before it', async () => {
    await expect(limited().write([letter(1), letter(2), letter(3)])).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('dead_letter.max_bytes (8192)'),
      why: expect.stringContaining(seqOf(3)),
      hint: expect.stringContaining('cdc dead-letter retry --all'),
    });
    expect(await store.ids()).toEqual([seqOf(1), seqOf(2)]);
    await expect(limited().write([letter(4)])).rejects.toMatchObject({ kind: 'fatal' });
  });

  test('applies to concurrent writes', async () => {
    const one = limited();
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5].map((n) => one.write([letter(n)])));
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(readdirSync(directory)).toHaveLength(2);
  });

  test('counts the size of the events, and an event that is written again once', async () => {
    const one = limited();
    const large = letter(1, { event: Buffer.alloc(BLOCK, 'x') });
    for (let i = 0; i < 5; i++) await one.write([large]);
    await expect(one.write([letter(2)])).rejects.toMatchObject({ kind: 'fatal' });
  });

  test('ignores dead letters that were removed in the meantime', async () => {
    const one = limited();
    await one.write([letter(1), letter(2)]);
    await new DeadLetterStore(directory, 'shop', GIB).remove(seqOf(1));
    await one.write([letter(3)]);
    expect(await one.ids()).toEqual([seqOf(2), seqOf(3)]);
  });

  test('applies to one pipeline', async () => {
    await new DeadLetterStore(directory, 'shop.eu', GIB).write([letter(1), letter(2), letter(3)]);
    await limited().write([letter(1), letter(2)]);
    expect(await store.ids()).toHaveLength(2);
  });

  test('counts the temporary file of a killed write, and removes it once it is old', async () => {
    await store.write([letter(1)]);
    const left = `${fileOf(2)}.4711.tmp`;
    put(left, '{"version":');
    await expect(limited().write([letter(3)])).rejects.toMatchObject({ kind: 'fatal' });
    const old = new Date(Date.now() - 3 * 3_600_000);
    utimesSync(join(directory, left), old, old);
    await limited().write([letter(3)]);
    expect(readdirSync(directory)).toEqual([fileOf(1), fileOf(3)]);
  });
});

describe('the list', () => {
  test('is in order of seq, without the events', async () => {
    await store.write([letter(20), letter(3), letter(100)]);
    const { letters, unreadable } = await store.list();
    expect(letters.map(({ seq }) => seq)).toEqual([seqOf(3), seqOf(20), seqOf(100)]);
    expect(letters[0]).toMatchObject({ key: '{"id":3}', bytes: letter(3).event.length });
    expect(letters[0]).not.toHaveProperty('event');
    expect(unreadable).toEqual([]);
  });

  test('of a missing directory is empty', async () => {
    expect(await store.list()).toEqual({ letters: [], unreadable: [] });
  });

  test('contains the damaged and foreign files, and changes none', async () => {
    await store.write([letter(1), letter(2), letter(3), letter(4)]);
    const whole = readFileSync(join(directory, fileOf(1)), 'utf8');
    put(fileOf(1), whole.slice(0, -20));
    put(fileOf(2), whole);
    put(fileOf(3), whole.replace(seqOf(1), seqOf(3)).replace('"version": 1', '"version": 2'));
    put(fileOf(5), whole.replace('"shop"', '"other"'));
    put(fileOf(6), '');
    put('notes.txt', 'mine');
    put(`${fileOf(9)}.12.tmp`, 'half');
    expect(await store.ids()).not.toContain(seqOf(9));
    const before = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
    const { letters, unreadable } = await store.list();
    expect(letters.map(({ seq }) => seq)).toEqual([seqOf(4)]);
    expect(unreadable).toEqual([
      { file: 'notes.txt', why: 'it is not a dead letter of cdc' },
      { file: fileOf(1), why: expect.stringMatching(/JSON|Unterminated/) },
      { file: fileOf(2), why: `it contains the event ${seqOf(1)}` },
      { file: fileOf(3), why: expect.stringContaining('version') },
      { file: fileOf(5), why: 'it belongs to the pipeline "other"' },
      { file: fileOf(6), why: expect.stringContaining('JSON') },
    ]);
    expect(readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))).toEqual(before);
  });

  test.skipIf(process.platform === 'win32')('does not wait for a pipe', async () => {
    await store.write([letter(1)]);
    execFileSync('mkfifo', [join(directory, fileOf(2))]);
    const { letters, unreadable } = await store.list();
    expect(letters.map(({ seq }) => seq)).toEqual([seqOf(1)]);
    expect(unreadable).toEqual([{ file: fileOf(2), why: 'it is not a file' }]);
  });

  test('excludes the dead letters of other pipelines, also if their names have the same prefix', async () => {
    await store.write([letter(1)]);
    await new DeadLetterStore(directory, 'shop.eu', GIB).write([letter(2)]);
    expect(await store.list()).toMatchObject({ letters: [{ seq: seqOf(1) }], unreadable: [] });
    expect(await new DeadLetterStore(directory, 'shop.eu', GIB).ids()).toEqual([seqOf(2)]);
  });
});

describe('an unusable directory', () => {
  test('is a fatal error with a hint, for writing and for reading', async () => {
    writeFileSync(join(root, 'state'), 'a file');
    await expect(store.write([letter(1)])).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining(directory),
      why: expect.stringContaining('ENOTDIR'),
      hint: expect.stringContaining('dead_letter.directory'),
    });
    await expect(store.list()).rejects.toMatchObject({ why: expect.stringContaining('ENOTDIR') });
  });

  test('is used after it is repaired', async () => {
    writeFileSync(join(root, 'state'), 'a file');
    await expect(store.write([letter(1)])).rejects.toThrow();
    rmSync(join(root, 'state'));
    await store.write([letter(1)]);
    expect(await store.ids()).toEqual([seqOf(1)]);
  });
});
