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

const take = (path: string): Promise<() => Promise<void>> =>
  lockFile(path, (owner) => new CdcError(`held by ${owner}`));

test('one holds it at a time; who gives it back leaves nothing behind', async () => {
  const path = join(directory, 'lock');
  const giveBack = await take(path);
  await expect(take(path)).rejects.toThrow(`held by ${process.pid}`);
  await giveBack();
  await (await take(path))();
  expect(readdirSync(directory)).toEqual([]);
});

test.each([
  ['of a process that is gone', '4194300 17\n'],
  ['of another process that had our pid', `${process.pid} 1\n`],
  ['of a process before a reboot, whose pid another has now', '1 999999999999\n'],
  ['that says nothing of use', 'x'],
  ['that says nothing', ''],
])('a lock %s is taken over', async (_, content) => {
  const path = join(directory, 'lock');
  writeFileSync(path, content);
  await (await take(path))();
});

test('of many in one process that try at once exactly one gets it', async () => {
  const path = join(directory, 'lock');
  writeFileSync(path, '4194300 17\n');
  const tries = await Promise.allSettled(Array.from({ length: 8 }, () => take(path)));
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('a lock that cannot be written is an error with what to do', async () => {
  const path = join(directory, 'lock');
  await mkdir(path);
  await expect(take(path)).rejects.toMatchObject({
    message: expect.stringContaining('cannot write the lock'),
    hint: expect.any(String),
  });
});
