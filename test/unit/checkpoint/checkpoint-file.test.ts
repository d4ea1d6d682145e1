import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Checkpoint, CheckpointFile } from '../../../src/checkpoint/checkpoint-file.ts';
import { Checkpointer } from '../../../src/checkpoint/checkpointer.ts';

const sample: Checkpoint = {
  name: 'shop',
  server: { flavor: 'mysql', identity: 'u' },
  epoch: 2,
  gtids: 'x:1-5',
  file: 'binlog.000001',
  position: 1234,
  tables: [],
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-checkpoint-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the checkpoint file', () => {
  test('gives back what was saved, makes its folder, and leaves no other file behind', async () => {
    const file = new CheckpointFile(join(directory, 'a', 'b', 'shop.json'));
    expect(await file.load('shop')).toBeUndefined();
    await file.save(sample);
    await file.save({ ...sample, position: 99 });
    expect(await file.load('shop')).toEqual({ ...sample, position: 99 });
    expect(readdirSync(join(directory, 'a', 'b'))).toEqual(['shop.json']);
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['half a file', (text: string) => text.slice(0, 60)],
    ['nothing', () => ''],
    ['a changed number', (text: string) => text.replace('1234', '1235')],
    ['an unknown field', (text: string) => text.replace('{', '{"extra":1,')],
    ['another version', (text: string) => text.replace('"version": 1', '"version": 0')],
    ['something else', () => 'null'],
  ])('%s is refused, and left as it is', async (_, damage) => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    await file.save(sample);
    const damaged = damage(readFileSync(file.path, 'utf8'));
    writeFileSync(file.path, damaged);
    await expect(file.load('shop')).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('is damaged'),
    });
    expect(readFileSync(file.path, 'utf8')).toBe(damaged);
  });

  test('one of a later version is refused as that', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    writeFileSync(file.path, '{ "version": 2, "more": true }');
    await expect(file.load('shop')).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('a later version of cdc'),
      why: 'its format is 2, and this cdc knows 1',
    });
  });

  test('a name that is not its own is refused', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    await file.save(sample);
    await expect(file.load('other')).rejects.toMatchObject({ exitCode: 2 });
  });

  test('a write that fails is an error and leaves the old content', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    await file.save(sample);
    // A folder stands where the temporary file would go.
    mkdirSync(`${file.path}.tmp`);
    await expect(file.save({ ...sample, position: 1 })).rejects.toThrow(/cannot write the checkpoint/);
    expect(await file.load('shop')).toEqual(sample);
  });
});

describe('the checkpoint keeper', () => {
  test('saves what is delivered at the time of the write, never what was current when it was asked', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    let position = 1;
    const keeper = new Checkpointer(
      file,
      () => ({ ...sample, position }),
      (error) => expect.unreachable(String(error)),
    );
    keeper.markDirty();
    position = 2;
    await keeper.save();
    expect((await file.load('shop'))?.position).toBe(2);
    position = 3;
    await keeper.save();
    expect((await file.load('shop'))?.position, 'not moved, not written').toBe(2);
  });

  test('save resolves when what has moved is on the disk, though another save writes it', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    const slow = Object.assign(Object.create(file) as CheckpointFile, {
      save: async (checkpoint: Checkpoint) => {
        await new Promise((done) => setTimeout(done, 50));
        await file.save(checkpoint);
      },
    });
    let position = 1;
    const keeper = new Checkpointer(
      slow,
      () => ({ ...sample, position }),
      (error) => expect.unreachable(String(error)),
    );
    keeper.markDirty();
    const writes = [keeper.save()];
    position = 2;
    keeper.markDirty();
    writes.push(keeper.save());
    await keeper.save();
    expect((await file.load('shop'))?.position).toBe(2);
    await Promise.all(writes);
  });

  test('tells of a write that fails by its timer', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    mkdirSync(`${file.path}.tmp`);
    const error = await new Promise((resolve) => {
      new Checkpointer(file, () => sample, resolve).markDirty();
    });
    expect(String(error)).toMatch(/cannot write the checkpoint/);
  });
});

test.skipIf(process.platform !== 'linux')('a folder that cannot be made is an error, not an endless try', async () => {
  const file = new CheckpointFile('/proc/cdc/shop.json');
  await expect(file.save(sample)).rejects.toThrow(/cannot write the checkpoint/);
  await expect(file.lock()).rejects.toThrow(/cannot write the checkpoint/);
});
