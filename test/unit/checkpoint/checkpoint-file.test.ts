import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import { CheckpointFile } from '../../../src/checkpoint/checkpoint-file.ts';
import { Checkpointer, type CheckpointTarget } from '../../../src/checkpoint/checkpointer.ts';

const sample: Checkpoint = {
  name: 'shop',
  server: { flavor: 'mysql', identity: 'u' },
  epoch: 2,
  gtids: 'x:1-5',
  file: 'binlog.000001',
  position: 1234,
  tables: [],
  incomplete: [
    {
      schema: 's',
      table: 't',
      file: 'binlog.000001',
      position: 99,
      since: '2026-01-02T03:04:05.000Z',
      why: 'RENAME TABLE',
    },
  ],
  binlog: { created: 1_700_000_000, position: 1000, digest: 77, gtid: 'x:5', committed: 1_700_000_000_000_001 },
  coverage: {
    fresh: true,
    tables: ['s.*'],
    followedSince: '2026-01-01T00:00:00.000Z',
    complete: [{ schema: 's', table: 'u', since: '2026-01-02T00:00:00.000Z', why: 'backfilled' }],
    dropped: [{ schema: 's', table: 'gone', since: '2026-01-03T00:00:00.000Z', why: 'emptied' }],
    verified: [
      {
        ...{ schema: 's', table: 'u', at: '2026-01-04T00:00:00.000Z', scope: 'whole' },
        ...{ rows: 12, missing: 1, extra: 2, different: 3, hasEarlier: true },
      },
    ],
  },
  backfill: {
    paused: true,
    parallel: 2,
    rate: null,
    maxLagMs: 1000,
    ordinals: 2 ** 33,
    tables: [
      {
        schema: 's',
        table: 'v',
        request: 'r1',
        where: 'id > 7',
        key: '[["id",8]]',
        begun: true,
        rows: 12,
        estimatedRows: 30,
        ranges: [
          { after: null, upTo: ['BQAAAA=='] },
          { after: ['BQAAAA=='], upTo: null },
        ],
      },
    ],
  },
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-checkpoint-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the checkpoint file', () => {
  test('it loads what was saved, creates its folder, and leaves no other file', async () => {
    const file = new CheckpointFile(join(directory, 'a', 'b', 'shop.json'));
    expect(await file.load('shop')).toBeUndefined();
    await file.save(sample);
    await file.save({ ...sample, position: 99 });
    expect(await file.load('shop')).toEqual({ ...sample, position: 99 });
    expect(readdirSync(join(directory, 'a', 'b'))).toEqual(['shop.json']);
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['half of its text', (text: string) => text.slice(0, 60)],
    ['no text', () => ''],
    ['a changed number', (text: string) => text.replace('1234', '1235')],
    ['an unknown field', (text: string) => text.replace('{', '{"extra":1,')],
    ['another version', (text: string) => text.replace('"version": 4', '"version": 0')],
    ['other JSON', () => 'null'],
  ])('a file with %s is rejected and not changed', async (_, damage) => {
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

  test('a file of a later version is rejected with its own message', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    writeFileSync(file.path, '{ "version": 5, "more": true }');
    await expect(file.load('shop')).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('a later version of cdc'),
      why: 'its format is 5, and this cdc supports up to 4',
    });
  });

  test.each([1, 2])(
    'a checkpoint of version %i is read, without what only later versions know, and saved in the new format',
    async (version) => {
      const path = join(directory, 'golden.json');
      copyFileSync(`test/golden/files/checkpoints/version-${version}.json`, path);
      const file = new CheckpointFile(path);
      const loaded = await file.load('golden');
      expect(loaded).toMatchObject({ epoch: 1_767_300_000, position: expect.any(Number) });
      if (version === 1) expect(loaded).not.toHaveProperty('binlog');
      expect(loaded).not.toHaveProperty('coverage');
      expect(loaded).not.toHaveProperty('backfill');
      await file.save(loaded as Checkpoint);
      const saved = {
        version: 4,
        coverage: { fresh: false, tables: [], followedSince: null, complete: [], dropped: [], verified: [] },
        backfill: { paused: false, parallel: null, rate: null, maxLagMs: null, ordinals: 0, tables: [] },
      };
      expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject(saved);
      expect(await file.load('golden')).toEqual({ ...loaded, coverage: saved.coverage, backfill: saved.backfill });
      writeFileSync(
        path,
        readFileSync('test/golden/files/checkpoints/version-1.json', 'utf8').replace('"epoch": 1', '"epoch": 2'),
      );
      await expect(file.load('golden')).rejects.toMatchObject({ why: 'its checksum does not match its content' });
    },
  );

  test('a checkpoint of version 3 is read with its coverage and its backfill, and saved in the new format', async () => {
    const path = join(directory, 'golden.json');
    const golden = readFileSync('test/golden/files/checkpoints/version-3.json', 'utf8');
    writeFileSync(path, golden);
    const file = new CheckpointFile(path);
    const loaded = (await file.load('golden')) as Checkpoint;
    const { coverage, backfill } = JSON.parse(golden);
    expect(coverage.complete).toHaveLength(2);
    expect(loaded).toMatchObject({ coverage, backfill });
    await file.save(loaded);
    const saved = JSON.parse(readFileSync(path, 'utf8'));
    expect(saved).toMatchObject({
      ...{ version: 4, gtids: loaded.gtids, backfill },
      coverage: { ...coverage, dropped: [], verified: [] },
    });
    expect(await file.load('golden')).toEqual({ ...loaded, coverage: saved.coverage });
    writeFileSync(path, golden.replace('"ordinals": 1', '"ordinals": 2'));
    await expect(file.load('golden')).rejects.toMatchObject({ why: 'its checksum does not match its content' });
  });

  test('a checkpoint of version 4 is read with what cdc verify has found, and saved as it was', async () => {
    const path = join(directory, 'golden.json');
    const golden = readFileSync('test/golden/files/checkpoints/version-4.json', 'utf8');
    writeFileSync(path, golden);
    const file = new CheckpointFile(path);
    const loaded = (await file.load('golden')) as Checkpoint;
    const { coverage, backfill } = JSON.parse(golden);
    expect([coverage.dropped.length, coverage.verified.length]).toEqual([1, 2]);
    expect(loaded).toMatchObject({ coverage, backfill });
    await file.save(loaded);
    const withoutTime = (text: string): string => text.replace(/"(saved_at|checksum)": "[^"]*"/g, '$1');
    expect(withoutTime(readFileSync(path, 'utf8'))).toBe(withoutTime(golden));
    writeFileSync(path, golden.replace('"hasEarlier": true', '"hasEarlier": false'));
    await expect(file.load('golden')).rejects.toMatchObject({ why: 'its checksum does not match its content' });
  });

  test('a symbolic link to it stays a link; the file that it leads to is written, and locked', async () => {
    mkdirSync(join(directory, 'disk'));
    symlinkSync('disk/real.json', join(directory, 'link.json'));
    symlinkSync(join(directory, 'link.json'), join(directory, 'other.json'));
    const file = new CheckpointFile(join(directory, 'other.json'));
    expect(await file.load('shop')).toBeUndefined();
    const unlock = await file.lock();
    await file.save(sample);
    await file.save({ ...sample, position: 99 });
    expect(readdirSync(join(directory, 'disk')).sort()).toEqual(['real.json', 'real.json.lock']);
    expect(readlinkSync(join(directory, 'other.json'))).toBe(join(directory, 'link.json'));
    expect(readlinkSync(join(directory, 'link.json'))).toBe('disk/real.json');
    const real = new CheckpointFile(join(directory, 'disk', 'real.json'));
    expect(await real.load('shop')).toMatchObject({ position: 99 });
    await expect(real.lock()).rejects.toThrow(/another cdc/);
    await unlock();
  });

  test('a link that leads to itself is an error', async () => {
    symlinkSync('shop.json', join(directory, 'shop.json'));
    await expect(new CheckpointFile(join(directory, 'shop.json')).save(sample)).rejects.toMatchObject({
      message: `cannot write the checkpoint ${join(directory, 'shop.json')}`,
      why: expect.stringContaining('too many symbolic links'),
    });
  });

  test('the file of another pipeline is rejected', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    await file.save(sample);
    await expect(file.load('other')).rejects.toMatchObject({ exitCode: 2 });
  });

  test('a write that fails is an error and keeps the old content', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    await file.save(sample);
    // A folder has the name of the temporary file.
    mkdirSync(`${file.path}.tmp`);
    await expect(file.save({ ...sample, position: 1 })).rejects.toThrow(/cannot write the checkpoint/);
    expect(await file.load('shop')).toEqual(sample);
  });
});

const targetOf = (file: CheckpointFile): CheckpointTarget => ({
  saveIntervalMs: { busy: 20, idle: 20 },
  save: (checkpoint) => file.save(checkpoint),
});

describe('the checkpointer', () => {
  test('it saves the position at the time of the write, not at the time of the request', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    let position = 1;
    const checkpointer = new Checkpointer(targetOf(file), {
      current: () => ({ ...sample, position }),
      deliveredEvents: () => position,
      onError: (error) => expect.unreachable(String(error)),
    });
    checkpointer.markDirty();
    position = 2;
    await checkpointer.save();
    expect((await file.load('shop'))?.position).toBe(2);
    position = 3;
    await checkpointer.save();
    expect((await file.load('shop'))?.position, 'not moved, not written').toBe(2);
  });

  test('save resolves when the moved position is on disk, even if another save writes it', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    const slow = Object.assign(Object.create(file) as CheckpointFile, {
      save: async (checkpoint: Checkpoint) => {
        await new Promise((done) => setTimeout(done, 50));
        await file.save(checkpoint);
      },
    });
    let position = 1;
    const checkpointer = new Checkpointer(targetOf(slow), {
      current: () => ({ ...sample, position }),
      deliveredEvents: () => position,
      onError: (error) => expect.unreachable(String(error)),
    });
    checkpointer.markDirty();
    const writes = [checkpointer.save()];
    position = 2;
    checkpointer.markDirty();
    writes.push(checkpointer.save());
    await checkpointer.save();
    expect((await file.load('shop'))?.position).toBe(2);
    await Promise.all(writes);
  });

  test('it reports a failed write of its timer', async () => {
    const file = new CheckpointFile(join(directory, 'shop.json'));
    mkdirSync(`${file.path}.tmp`);
    const error = await new Promise((resolve) => {
      new Checkpointer(targetOf(file), {
        current: () => sample,
        deliveredEvents: () => 1,
        onError: resolve,
      }).markDirty();
    });
    expect(String(error)).toMatch(/cannot write the checkpoint/);
  });
});

test.skipIf(process.platform !== 'linux')(
  'a folder that cannot be created is an error instead of an endless attempt',
  async () => {
    const file = new CheckpointFile('/proc/cdc/shop.json');
    await expect(file.save(sample)).rejects.toThrow(/cannot write the checkpoint/);
    await expect(file.lock()).rejects.toThrow(/cannot write the checkpoint/);
  },
);
