import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CdcError } from '../../../src/runtime/error.ts';
import { lockFile } from '../../../src/runtime/file-lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const acquire = (path: string): Promise<() => Promise<void>> =>
  lockFile(path, (owner) => new CdcError(`held by ${owner}`));

test('only one holder at a time has the lock, and its release leaves no file', async () => {
  const path = join(directory, 'lock');
  const release = await acquire(path);
  await expect(acquire(path)).rejects.toThrow(`held by ${process.pid}`);
  await release();
  await (await acquire(path))();
  expect(readdirSync(directory)).toEqual([]);
});

test.each([
  ['of a process that does not run', '4194300 17\n'],
  ['of another process that had our pid', `${process.pid} 1\n`],
  ['of a process before a reboot, with a pid that is used again', '1 999999999999\n'],
  ['with invalid content', 'x'],
  ['without content', ''],
])('a lock %s is taken over', async (_, content) => {
  const path = join(directory, 'lock');
  writeFileSync(path, content);
  await (await acquire(path))();
});

test('exactly one of many simultaneous attempts in one process gets the lock', async () => {
  const path = join(directory, 'lock');
  writeFileSync(path, '4194300 17\n');
  const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => acquire(path)));
  expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('a lock that cannot be written is an error with a hint', async () => {
  const path = join(directory, 'lock');
  await mkdir(path);
  await expect(acquire(path)).rejects.toMatchObject({
    message: expect.stringContaining('cannot write the lock'),
    hint: expect.any(String),
  });
});
