import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EpochFile } from '../../../src/checkpoint/epoch-file.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-epoch-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('the highest epoch is beside the checkpoint, and does not need the checkpoint', async () => {
  const file = new EpochFile(join(directory, 'state', 'shop.json'));
  expect(await file.load()).toBe(0);
  await file.save(0xffffffff);
  expect(await file.load()).toBe(0xffffffff);
  expect(readdirSync(join(directory, 'state'))).toEqual(['shop.json.epoch']);
  expect(readFileSync(join(directory, 'state', 'shop.json.epoch'), 'utf8')).toBe('4294967295\n');
});

test.each(['', 'x', '-1', '4294967296', '12\n13'])('%j in it is an error that says what to do', async (text) => {
  writeFileSync(join(directory, 'shop.json.epoch'), text);
  await expect(new EpochFile(join(directory, 'shop.json')).load()).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('is damaged'),
    hint: expect.stringContaining('source.epoch'),
  });
});
