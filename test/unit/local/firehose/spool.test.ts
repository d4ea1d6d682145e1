import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createObjectBuffer, encodeMeta } from '../../../../src/local/firehose/object-buffer.ts';
import { lockSpool, recoverSpool } from '../../../../src/local/firehose/spool.ts';

let folder: string;
let folders: { lake: string; spool: string };
let unlock: () => Promise<void>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spool-'));
  folders = { lake: join(folder, 'lake'), spool: join(folder, 'lake.spool') };
  unlock = await lockSpool(folders);
});
afterEach(() => rmSync(folder, { recursive: true }));

const inSpool = (name: string) => join(folders.spool, name);
const inLake = (name: string) => readFileSync(join(folders.lake, name));

describe('object buffers', () => {
  test('the meta file counts every committed byte, and the data has the order of staging', async () => {
    const buffer = createObjectBuffer(folders, 'one', { object: 's/a/object', gzip: false });
    const commits = ['a', 'b', 'c'].map((text) => {
      buffer.stage(Buffer.from(text));
      return buffer.commit();
    });
    await Promise.all(commits);
    buffer.stage(Buffer.from('d'));
    await buffer.commit();
    expect(readFileSync(inSpool('one.meta'), 'utf8')).toBe(encodeMeta(4, { object: 's/a/object', gzip: false }));
    expect(readFileSync(inSpool('one.data'), 'utf8')).toBe('abcd');
    await buffer.deliver();
    expect(String(inLake('s/a/object'))).toBe('abcd');
    expect(readdirSync(folders.spool)).toEqual(['lock']);
  });

  test('a buffer with more pieces than one system call accepts is delivered completely', async () => {
    const buffer = createObjectBuffer(folders, 'one', { object: 'o', gzip: false });
    const pieces = Array.from({ length: 5_000 }, (_, i) => `${i},`);
    for (const piece of pieces) buffer.stage(Buffer.from(piece));
    await buffer.deliver();
    expect(String(inLake('o'))).toBe(pieces.join(''));
  });
});

describe('recovering a spool', () => {
  const leave = (id: string, committed: number, data: string, gzip = false) => {
    writeFileSync(inSpool(`${id}.meta`), encodeMeta(committed, { object: `s/${id}`, gzip }));
    writeFileSync(inSpool(`${id}.data`), data);
  };

  test.each([false, true])('committed bytes are delivered, and other bytes are cut off (gzip: %s)', async (gzip) => {
    leave('one', 3, 'abcTORN', gzip);
    expect(await recoverSpool(folders)).toEqual(['s/one']);
    expect(String(gzip ? gunzipSync(inLake('s/one')) : inLake('s/one'))).toBe('abc');
    expect(readdirSync(folders.spool)).toEqual(['lock']);
  });

  test('unacknowledged and already delivered data is removed', async () => {
    leave('nothing', 0, 'TORN');
    leave('delivered', 3, 'abc');
    rmSync(inSpool('delivered.data'));
    writeFileSync(inSpool('half-packed.gz'), 'x');
    expect(await recoverSpool(folders)).toEqual([]);
    expect(readdirSync(folders.lake)).toEqual([]);
    expect(readdirSync(folders.spool)).toEqual(['lock']);
  });

  test('an empty buffer without a complete meta file is removed, and data with a damaged one is an error', async () => {
    leave('young', 0, '');
    truncateSync(inSpool('young.meta'), 5);
    await recoverSpool(folders);
    expect(readdirSync(folders.spool)).toEqual(['lock']);

    leave('damaged', 3, 'abc');
    truncateSync(inSpool('damaged.meta'), 25);
    await expect(recoverSpool(folders)).rejects.toMatchObject({ hint: expect.stringContaining('damaged.data') });
    expect(readFileSync(inSpool('damaged.data'), 'utf8')).toBe('abc');
  });
});

describe('the lock of a spool', () => {
  test('a second server of the same process cannot get the lock until it is released', async () => {
    await expect(lockSpool(folders)).rejects.toThrow(`another local Firehose (process ${process.pid})`);
    await unlock();
    await (await lockSpool(folders))();
  });

  test('the lock of an ended process is taken over, even if this process has its id', async () => {
    await unlock();
    for (const pid of ['', '999999999', String(process.pid)]) {
      writeFileSync(inSpool('lock'), pid);
      await (await lockSpool(folders))();
    }
  });
});
