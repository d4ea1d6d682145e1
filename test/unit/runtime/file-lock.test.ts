import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CdcError } from '../../../src/runtime/error.ts';
import { lockFile, lockState, touchLock } from '../../../src/runtime/file-lock.ts';

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

describe('the state of a lock', () => {
  const state = async (content: string) => {
    const path = join(directory, 'lock');
    writeFileSync(path, content);
    return (await lockState(path))?.owner;
  };
  /** The lock of a process that runs: of the one that started the tests. */
  const ofParent = async (): Promise<string[]> => {
    const line = readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
    return [String(process.ppid), line.slice(line.lastIndexOf(')') + 2).split(' ')[19] as string];
  };

  test('is ours only while this process holds it', async () => {
    const path = join(directory, 'lock');
    const release = await acquire(path);
    expect(await lockState(path)).toMatchObject({ pid: process.pid, owner: 'ours' });
    const before = (await lockState(path))?.version;
    await new Promise((done) => setTimeout(done, 20));
    await touchLock(path);
    expect((await lockState(path))?.version).not.toBe(before);
    const text = readFileSync(path, 'utf8');
    await release();
    expect(await lockState(path)).toBeUndefined();
    expect(await state(text)).not.toBe('ours');
  });

  test.skipIf(process.platform !== 'linux')('names a process that runs here, with its place or without', async () => {
    const [pid, startTime] = await ofParent();
    const path = join(directory, 'own');
    await acquire(path);
    const place = readFileSync(path, 'utf8').trimEnd().split(' ')[2];
    expect(place).toMatch(/^[0-9a-f-]{36}\/\d+$/);
    expect(await state(`${pid} ${startTime} ${place}\n`)).toBe('running');
    // Of cdc 0.1.0, or of a sandbox that hides /proc/sys.
    expect(await state(`${pid} ${startTime}\n`)).toBe('running');
    expect(await state(`${pid} ${startTime}1 ${place}\n`)).toBe('gone');
    expect(await state(`4194300 17 ${place}\n`)).toBe('gone');
    expect(await state(`${pid} ${startTime} 00000000-0000-0000-0000-000000000000/1\n`)).toBe('elsewhere');
  });

  test.skipIf(process.platform !== 'linux')('without a place keeps the lock of a process that runs', async () => {
    const [pid, startTime] = await ofParent();
    writeFileSync(join(directory, 'lock'), `${pid} ${startTime}\n`);
    await expect(acquire(join(directory, 'lock'))).rejects.toThrow(`held by ${pid}`);
  });
});

test('a release leaves the lock of another process that has it by now', async () => {
  const path = join(directory, 'lock');
  const release = await acquire(path);
  writeFileSync(path, '4194300 17\n');
  await release();
  expect(readFileSync(path, 'utf8')).toBe('4194300 17\n');
  // And this process can acquire it again.
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
