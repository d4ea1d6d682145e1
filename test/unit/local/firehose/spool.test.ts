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

describe('an object buffer', () => {
  test('knows every byte it committed before it is delivered, in the order in which it was staged', async () => {
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

  test('of more pieces than one system call takes arrives whole', async () => {
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

  test.each([false, true])('delivers what was committed and cuts off what was not (gzip: %s)', async (gzip) => {
    leave('one', 3, 'abcTORN', gzip);
    expect(await recoverSpool(folders)).toEqual(['s/one']);
    expect(String(gzip ? gunzipSync(inLake('s/one')) : inLake('s/one'))).toBe('abc');
    expect(readdirSync(folders.spool)).toEqual(['lock']);
  });

  test('forgets what was never acknowledged and what was delivered already', async () => {
    leave('nothing', 0, 'TORN');
    leave('delivered', 3, 'abc');
    rmSync(inSpool('delivered.data'));
    writeFileSync(inSpool('half-packed.gz'), 'x');
    expect(await recoverSpool(folders)).toEqual([]);
    expect(readdirSync(folders.lake)).toEqual([]);
    expect(readdirSync(folders.spool)).toEqual(['lock']);
  });

  test('forgets a file that died while it was made, and refuses data that nobody can place', async () => {
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
  test('keeps a second server of the same process out, until it is given back', async () => {
    await expect(lockSpool(folders)).rejects.toThrow(`Another local Firehose (process ${process.pid})`);
    await unlock();
    await (await lockSpool(folders))();
  });

  test('of a process that is gone, or that had our number before, does not count', async () => {
    await unlock();
    for (const pid of ['', '999999999', String(process.pid)]) {
      writeFileSync(inSpool('lock'), pid);
      await (await lockSpool(folders))();
    }
  });
});
