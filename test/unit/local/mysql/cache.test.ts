import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cacheDirectory, cachedServer, fillCache } from '../../../../src/local/mysql/cache.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'cdc-test-'));
  vi.stubEnv('XDG_CACHE_HOME', home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const copy = () => join(cacheDirectory(), `mysql-${process.arch}`);
const entries = () => readdirSync(cacheDirectory());

/** A minimal program that prints a version like a server. */
function writeServer(root: string, version: string): void {
  mkdirSync(join(root, 'bin'), { recursive: true });
  writeFileSync(join(root, 'bin/mysqld'), `#!/bin/sh\necho "mysqld  Ver ${version} for Linux on x86_64"\n`);
  chmodSync(join(root, 'bin/mysqld'), 0o755);
}

test('a copy gets its name when it is complete, and later runs find it', async () => {
  await expect(cachedServer('mysql')).rejects.toThrow('does not exist yet');
  const filled = await fillCache('mysql', async (root, scratch) => {
    writeServer(root, '9.7.1');
    writeFileSync(join(scratch, 'archive.tar'), 'x');
    expect(existsSync(copy())).toBe(false);
  });
  expect(filled).toMatchObject({ flavor: 'mysql', version: '9.7.1', command: [join(copy(), 'root/bin/mysqld')] });
  expect(await cachedServer('mysql')).toEqual(filled);
  expect(entries()).toEqual([`mysql-${process.arch}`]);
  expect(readdirSync(copy())).toEqual(['root']);
});

test('a copy that is incomplete, does not run or is another server is not used and is removed', async () => {
  const failing = async (root: string) => {
    writeServer(root, '9.7.1');
    throw new Error('the disk is full');
  };
  await expect(fillCache('mysql', failing)).rejects.toThrow('the disk is full');
  await expect(fillCache('mysql', async () => {})).rejects.toThrow('is missing in');
  await expect(fillCache('mysql', async (root) => writeServer(root, '11.8.2-MariaDB'))).rejects.toThrow('is MariaDB');
  expect(entries()).toEqual([]);
});

test('two processes that fill the cache at the same time both get the copy of the first', async () => {
  const fill = (version: string, after: number) =>
    fillCache('mysql', async (root) => {
      writeServer(root, version);
      await sleep(after);
    });
  const [slow, quick] = await Promise.all([fill('9.7.2', 200), fill('9.7.1', 0)]);
  expect(quick.version).toBe('9.7.1');
  expect(slow).toEqual(quick);
  expect(entries()).toEqual([`mysql-${process.arch}`]);
});

test('a broken copy is replaced', async () => {
  mkdirSync(join(copy(), 'root/usr'), { recursive: true });
  await expect(cachedServer('mysql')).rejects.toThrow('is missing in');
  const filled = await fillCache('mysql', async (root) => writeServer(root, '9.7.1'));
  expect(filled.version).toBe('9.7.1');
  expect(entries()).toEqual([`mysql-${process.arch}`]);
});

test('the incomplete copy of a killed process is removed after an hour and not before', async () => {
  for (const [name, age] of [
    ['old', 2 * 3600],
    ['young', 60],
  ] as const) {
    const path = `${copy()}.partial-${name}`;
    mkdirSync(join(path, 'root'), { recursive: true });
    utimesSync(path, Date.now() / 1000 - age, Date.now() / 1000 - age);
  }
  await fillCache('mysql', async (root) => writeServer(root, '9.7.1'));
  expect(entries().sort()).toEqual([`mysql-${process.arch}`, `mysql-${process.arch}.partial-young`]);
});
