import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openFolder } from '../../../src/lake/folder-store.ts';
import { openLake } from '../../../src/lake/open-lake.ts';

const root = mkdtempSync(join(tmpdir(), 'cdc-folder-'));
afterAll(() => rmSync(root, { recursive: true }));
let lake: string;
let lakes = 0;
beforeEach(() => {
  lake = join(root, `lake-${++lakes}`);
  mkdirSync(join(lake, 'shop', '2026'), { recursive: true });
});

const names = async (folder = lake) => (await (await openFolder(folder)).list()).map(({ name }) => name);

describe('list', () => {
  test('has all files below the folder in the order of their paths, with their versions', async () => {
    for (const name of ['shop/2026/b.gz', 'shop/2026/a', 'shop/é.json', 'shop-1', 'z']) {
      writeFileSync(join(lake, name), name);
    }
    const store = await openLake(lake);
    expect(store.location).toBe(lake);
    const objects = await store.list();
    expect(objects.map(({ name }) => name)).toEqual(['shop-1', 'shop/2026/a', 'shop/2026/b.gz', 'shop/é.json', 'z']);
    const { size, mtimeMs } = statSync(join(lake, 'z'));
    expect(objects.at(-1)).toEqual({ name: 'z', bytes: 1, version: `${size}-${mtimeMs}`, modifiedAt: mtimeMs });
  });

  test('leaves out what begins with a dot: it is still being written', async () => {
    mkdirSync(join(lake, '.tmp'));
    for (const name of ['.tmp/a', 'shop/.b', 'c']) writeFileSync(join(lake, name), '');
    expect(await names()).toEqual(['c']);
  });

  test('follows links to files and folders, each folder once, and passes those that lead nowhere', async () => {
    const elsewhere = join(root, `elsewhere-${lakes}`);
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'far'), '');
    writeFileSync(join(lake, 'near'), '');
    symlinkSync(elsewhere, join(lake, 'linked'));
    symlinkSync(join(elsewhere, 'far'), join(lake, 'file'));
    symlinkSync(lake, join(lake, 'shop', 'back'));
    symlinkSync(join(root, 'nowhere'), join(lake, 'dangling'));
    expect(await names()).toEqual(['file', 'linked/far', 'near']);
  });

  test('of a folder without objects is empty', async () => {
    expect(await names()).toEqual([]);
  });

  test('ends with the reason of the signal', async () => {
    const store = await openFolder(lake);
    await expect(store.list(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });

  // Root may read all.
  test.skipIf(process.getuid?.() === 0)('of a folder that cannot be read is an error', async () => {
    chmodSync(join(lake, 'shop'), 0);
    await expect(names()).rejects.toMatchObject({
      message: `cannot read the lake ${lake}`,
      hint: 'check the owner and the permissions of the folder and the files in it',
    });
    chmodSync(join(lake, 'shop'), 0o755);
  });

  test('names a file whose name is not UTF-8, which Node cannot open', async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${lake}/`), Buffer.from([0xff])]), '');
    await expect(names()).rejects.toMatchObject({ message: `the lake ${lake} has a file whose name is not UTF-8` });
  });
});

describe('open', () => {
  test('a folder that is not there is an error that says what lake should be', async () => {
    const missing = join(lake, 'none');
    await expect(openLake(missing)).rejects.toMatchObject({
      message: `there is no lake ${missing}`,
      why: expect.stringContaining('ENOENT'),
      hint: 'set lake to the folder that holds the objects, or to s3://bucket/prefix',
      exitCode: 1,
    });
  });

  test('a file is no lake', async () => {
    writeFileSync(join(lake, 'file'), '');
    await expect(openLake(join(lake, 'file'))).rejects.toMatchObject({
      message: `the lake ${join(lake, 'file')} is not a folder`,
    });
  });

  test('a lake that is removed after it was opened is an error, not an empty lake', async () => {
    const store = await openFolder(lake);
    rmSync(lake, { recursive: true });
    await expect(store.list()).rejects.toMatchObject({ message: `there is no lake ${lake}` });
  });
});

describe('read', () => {
  test.skipIf(!existsSync('/proc/self/fd'))('closes the file when nobody reads the bytes', async () => {
    writeFileSync(join(lake, 'a'), 'abc');
    const store = await openFolder(lake);
    const [object] = await store.list();
    const openFiles = () => readdirSync('/proc/self/fd').length;
    const before = openFiles();
    for (let i = 0; i < 50; i++) (await store.read(object!)).destroy();
    await expect.poll(openFiles).toBeLessThan(before + 25);
  });

  test('of an object without bytes gives none', async () => {
    writeFileSync(join(lake, 'a'), '');
    const store = await openFolder(lake);
    const [object] = await store.list();
    expect(await (await store.read(object!)).toArray()).toEqual([]);
  });

  test('an object that is gone, or whose folder is a file now, says so', async () => {
    writeFileSync(join(lake, 'shop', '2026', 'a'), 'abc');
    const store = await openFolder(lake);
    const [object] = await store.list();
    unlinkSync(join(lake, 'shop', '2026', 'a'));
    await expect(store.read(object!)).rejects.toMatchObject({ loss: 'gone' });
    rmSync(join(lake, 'shop'), { recursive: true });
    writeFileSync(join(lake, 'shop'), '');
    await expect(store.read(object!)).rejects.toMatchObject({ loss: 'gone' });
  });
});
