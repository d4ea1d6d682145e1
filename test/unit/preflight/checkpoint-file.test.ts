import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkCheckpointFile } from '../../../src/preflight/checkpoint-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'cdc-preflight-'));
afterAll(() => rmSync(directory, { recursive: true }));
const whys = (file: string) =>
  checkCheckpointFile(join(directory, file)).map(({ severity, why }) => `${severity} ${why}`);

test('a checkpoint that exists, or whose folder is still to be made, is no problem and nothing is made', () => {
  writeFileSync(join(directory, 'there.json'), '{}');
  expect(whys('there.json')).toEqual([]);
  expect(whys('new.json')).toEqual([]);
  expect(whys('state/deep/new.json')).toEqual([]);
  expect(readdirSync(directory)).toEqual(['there.json']);
});

test('a folder in its place, or a file in place of its folder, is an error', () => {
  mkdirSync(join(directory, 'folder'));
  expect(whys('folder')).toEqual(['error it is not a file']);
  expect(whys('there.json/shop.json')).toHaveLength(1);
  expect(whys('there.json/state/shop.json')).toHaveLength(1);
});

test.skipIf(process.getuid?.() === 0)('a folder that may not be written to is an error', () => {
  mkdirSync(join(directory, 'closed'));
  chmodSync(join(directory, 'closed'), 0o500);
  expect(whys('closed/shop.json')).toHaveLength(1);
  chmodSync(join(directory, 'closed'), 0o700);
});
