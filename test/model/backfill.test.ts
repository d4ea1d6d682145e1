import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BackfillParts, type BackfillSetup, checkBackfill } from './backfill-model.ts';
import { NEIGHBOURS_MAX } from './backfill-reader.ts';

beforeEach(() => {
  vi.useFakeTimers();
  // Its timer is not virtual, and nothing here takes that long.
  vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => new AbortController().signal);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const SETUPS: BackfillSetup[] = [
  { watermarks: 'gtids', parallel: 1 },
  { watermarks: 'gtids', parallel: 3 },
  { watermarks: 'replica', parallel: 2 },
  { watermarks: 'heartbeat', parallel: 2 },
  { watermarks: 'mariadb', parallel: 3 },
];
/** CDC_MODEL_RUNS=1000 makes a long run. fast-check reports the seed of a failure. */
const RUNS = Number(process.env.CDC_MODEL_RUNS ?? 40);

/** A file, a text that occurs once in it, and its replacement. */
type Edit = [file: string, from: string, to: string];

/** The limits, as small as the tables of the model. */
const MODEL_LIMITS: Edit[] = [
  ['backfill/limits.ts', 'FIRST_CHUNK_ROWS = 2_000', 'FIRST_CHUNK_ROWS = 3'],
  ['backfill/limits.ts', 'CHUNK_ROWS_MAX = 200_000', 'CHUNK_ROWS_MAX = 4'],
  ['backfill/limits.ts', 'SLICE_CHECK_ROWS = 64', 'SLICE_CHECK_ROWS = 1'],
  ['backfill/limits.ts', 'WAITING_BYTES_MIN = 2 * 1024 * 1024', 'WAITING_BYTES_MIN = 600'],
  ['backfill/limits.ts', 'WAITING_BYTES_MAX = 16 * 1024 * 1024', 'WAITING_BYTES_MAX = 1500'],
  ['backfill/chunk-merge.ts', 'ROWS_PER_PAUSE = 20', 'ROWS_PER_PAUSE = 2'],
  ['backfill/chunk-merge.ts', 'NEIGHBOURS_MAX = 1_000', `NEIGHBOURS_MAX = ${NEIGHBOURS_MAX}`],
  ['backfill/ordinals.ts', 'ORDINALS_RESERVED = 2 ** 20', 'ORDINALS_RESERVED = 24'],
];

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

const BACKFILL_FILES = readdirSync('src/backfill').filter(
  (name) => name.endsWith('.ts') && name !== 'open-backfill.ts',
);
const COPIED = [
  ...BACKFILL_FILES.map((name) => `backfill/${name}`),
  ...readdirSync('src/delivery').map((name) => `delivery/${name}`),
  'model/chunk-window.ts',
];

/** Copies of the parts with these edits. Whatever is not copied stays the same modules. */
async function loadParts(edits: Edit[]): Promise<BackfillParts> {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-mutant-'));
  directories.push(directory);
  symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
  for (const folder of ['backfill', 'delivery', 'model']) mkdirSync(join(directory, folder));
  const left = new Set(edits);
  for (const name of COPIED) {
    let text = readFileSync(join('src', name), 'utf8');
    for (const edit of edits) {
      const [file, from, to] = edit;
      if (file !== name) continue;
      expect(text.split(from), `occurrences of ${from}`).toHaveLength(2);
      text = text.replace(from, () => to);
      left.delete(edit);
    }
    text = text.replaceAll(/from '(\.\.?\/[^']+)'/g, (whole, path: string) => {
      const target = join(name, '..', path);
      return COPIED.includes(target) ? whole : `from '${resolve('src', target)}'`;
    });
    writeFileSync(join(directory, name), text);
  }
  expect([...left]).toEqual([]);
  const load = async (name: string) => (await import(join(directory, name))) as BackfillParts;
  const { Backfill } = await load('backfill/backfill.ts');
  const { MergePoint } = await load('backfill/merge-point.ts');
  const { Ordinals } = await load('backfill/ordinals.ts');
  const { Delivery } = await load('delivery/delivery.ts');
  const { TableWatches } = await load('model/chunk-window.ts');
  return { Backfill, Delivery, MergePoint, Ordinals, TableWatches };
}

let parts: BackfillParts;
beforeAll(async () => {
  parts = await loadParts(MODEL_LIMITS);
});

describe.each(SETUPS)('watermarks: $watermarks, parallel: $parallel', (setup) => {
  test('a backfill that is merged into random transactions, with failures and crashes, folds to the table', async () => {
    await checkBackfill(parts, setup, RUNS);
  }, 3_600_000);
});
