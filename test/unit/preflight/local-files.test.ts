import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkCheckpointFile, checkDeadLetterFolder } from '../../../src/preflight/local-files.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-preflight-'));
afterAll(() => rmSync(directory, { recursive: true }));
const whys = async (file: string) =>
  (await checkCheckpointFile(join(directory, file))).map(({ severity, why }) => `${severity} ${why}`);

test('a checkpoint that exists, or whose folder can be created, has no finding, and nothing is created', async () => {
  writeFileSync(join(directory, 'there.json'), '{}');
  expect(await whys('there.json')).toEqual([]);
  expect(await whys('new.json')).toEqual([]);
  expect(await whys('state/deep/new.json')).toEqual([]);
  expect(readdirSync(directory)).toEqual(['there.json']);
});

test('a folder in place of the checkpoint, or a file in place of its folder, is an error', async () => {
  mkdirSync(join(directory, 'folder'));
  expect(await whys('folder')).toEqual(['error it is not a file']);
  expect(await whys('there.json/shop.json')).toHaveLength(1);
  expect(await whys('there.json/state/shop.json')).toHaveLength(1);
});

test.skipIf(process.getuid?.() === 0)('a folder without write permission is an error', async () => {
  mkdirSync(join(directory, 'closed'));
  chmodSync(join(directory, 'closed'), 0o500);
  expect(await whys('closed/shop.json')).toHaveLength(1);
  chmodSync(join(directory, 'closed'), 0o700);
});

test('a dead-letter folder that exists or can be created has no finding, and a file in its place is an error', async () => {
  const problems = async (folder: string) =>
    (await checkDeadLetterFolder(join(directory, folder))).map(({ what, why }) => [what, why]);
  expect(await problems('.')).toEqual([]);
  expect(await problems('letters/deep')).toEqual([]);
  const file = join(directory, 'there.json');
  expect(await problems('there.json')).toEqual([[`cannot write dead letters to ${file}`, `${file} is not a folder`]]);
});
