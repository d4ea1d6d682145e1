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
  { watermarks: 'replica', parallel: 1, statements: true, replaces: true },
  { watermarks: 'gtids', parallel: 2, statements: true, replaces: true },
  { watermarks: 'gtids', parallel: 2, whole: true },
];
/** CDC_MODEL_RUNS=1000 makes a long run. fast-check reports the seed of a failure. */
const RUNS = Number(process.env.CDC_MODEL_RUNS ?? 20);

/** A file, a text that occurs once in it, and its replacement. */
type Edit = [file: string, from: string, to: string];

/** The limits, as small as the tables of the model. */
const MODEL_LIMITS: Edit[] = [
  ['backfill/limits.ts', 'FIRST_CHUNK_ROWS = 2_000', 'FIRST_CHUNK_ROWS = 3'],
  ['backfill/limits.ts', 'CHUNK_ROWS_MAX = 200_000', 'CHUNK_ROWS_MAX = 4'],
  ['backfill/limits.ts', 'SLICE_CHECK_ROWS = 64', 'SLICE_CHECK_ROWS = 1'],
  ['backfill/limits.ts', 'WAITING_BYTES_MIN = 2 * 1024 * 1024', 'WAITING_BYTES_MIN = 600'],
  ['backfill/limits.ts', 'WAITING_BYTES_MAX = 16 * 1024 * 1024', 'WAITING_BYTES_MAX = 1500'],
  ['model/chunk-window.ts', 'WINDOW_KEYS_MAX = 200_000', 'WINDOW_KEYS_MAX = 6'],
  // Some histories change rows all the time.
  ['backfill/limits.ts', 'WHOLE_READS_MAX = 3', 'WHOLE_READS_MAX = 1e9'],
  ['backfill/merge/chunk-merge.ts', 'ROWS_PER_PAUSE = 20', 'ROWS_PER_PAUSE = 2'],
  ['backfill/merge/chunk-merge.ts', 'NEIGHBOURS_MAX = 1_000', `NEIGHBOURS_MAX = ${NEIGHBOURS_MAX}`],
  ['backfill/limits.ts', 'REPAIR_TRIES = 5', 'REPAIR_TRIES = 3'],
  ['backfill/limits.ts', 'REPAIR_KEYS_PER_PAUSE = 20', 'REPAIR_KEYS_PER_PAUSE = 2'],
  ['backfill/merge/ordinals.ts', 'ORDINALS_RESERVED = 2 ** 20', 'ORDINALS_RESERVED = 10'],
];

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

const COPIED = [
  ...['backfill.ts', 'limits.ts', 'control.ts'].map((name) => `backfill/${name}`),
  ...['merge', 'work', 'repair'].flatMap((room) =>
    readdirSync(join('src/backfill', room)).map((name) => `backfill/${room}/${name}`),
  ),
  ...readdirSync('src/delivery').map((name) => `delivery/${name}`),
  'model/chunk-window.ts',
];

/** Copies of the parts with these edits. Whatever is not copied stays the same modules. */
async function loadParts(edits: Edit[]): Promise<BackfillParts> {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-mutant-'));
  directories.push(directory);
  symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
  for (const folder of ['backfill/merge', 'backfill/work', 'backfill/repair', 'delivery', 'model']) {
    mkdirSync(join(directory, folder), { recursive: true });
  }
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
  const { MergePoint } = await load('backfill/merge/merge-point.ts');
  const { Ordinals } = await load('backfill/merge/ordinals.ts');
  const { Repairs } = await load('backfill/repair/repairs.ts');
  const { Delivery } = await load('delivery/delivery.ts');
  const { TableWatches } = await load('model/chunk-window.ts');
  return { Backfill, Repairs, Delivery, MergePoint, Ordinals, TableWatches };
}

let parts: BackfillParts;
beforeAll(async () => {
  parts = await loadParts(MODEL_LIMITS);
});

describe.each(SETUPS)(
  'watermarks: $watermarks, parallel: $parallel, statements: $statements, replaces: $replaces, in one view: $whole',
  (setup) => {
    test('a backfill that is merged into random transactions, with failures and crashes, folds to the table', async () => {
      await checkBackfill(parts, setup, RUNS);
    }, 3_600_000);
  },
);

const OPENED = 'await merge.atBoundary(() => ({ window: watch.open(), processed: merge.processed() }));';
const READ = 'const read = { chunk, readAt, window, onDelivered };';

/** Mutants: what is wrong with them, and the edits that make them so. */
const MUTANTS: [name: string, ...edits: Edit[]][] = [
  [
    'takes a file position for the low watermark: SELECT need not see yet what the stream has processed',
    [
      'backfill/merge/merge-point.ts',
      'gtids: gtids?.clone(), coordinates }',
      'gtids: gtids && new GtidSet(), coordinates }',
    ],
  ],
  [
    'forgets what the stream has already sent: its window opens behind the low watermark',
    [
      'backfill/work/worker.ts',
      'const { window } = opened;\n    try {\n      if (table.statements.invalid !== undefined) return false;\n      const after',
      'let { window } = opened;\n    try {\n      const after',
    ],
    [
      'backfill/work/worker.ts',
      'const chunk = await reader.read(',
      `await reader.read(range.rest, opened.processed, { rows: 1, bytes: 1 });
      watch.close(window);
      window = watch.open();
      const chunk = await reader.read(`,
    ],
  ],
  [
    'forgets what the stream has sent while the chunk was read',
    [
      'backfill/work/worker.ts',
      'const { window } = opened;\n    try {\n      if (table.statements.invalid !== undefined) return false;\n      const after',
      'let { window } = opened;\n    try {\n      const after',
    ],
    [
      'backfill/work/worker.ts',
      'const readAt = Date.now();',
      'watch.close(window);\nwindow = watch.open();\nconst readAt = Date.now();',
    ],
  ],
  [
    'opens and merges within a transaction',
    [
      'backfill/merge/merge-point.ts',
      'else if (!this.#watches.isTransactionOpen && this.#delivery.isBetweenTransactions) run();',
      'else if (Date.now() > 0) run();',
    ],
  ],
  [
    'does not wait for the high watermark',
    ['backfill/work/worker.ts', 'await reachWatermark(context, chunk.high);', ''],
  ],
  [
    'drops rows of which the stream has only some columns',
    ['backfill/merge/chunk-merge.ts', "else if (touch === 'partial') partly.push(row);", ''],
  ],
  [
    'writes rows over the columns that the stream has newer',
    [
      'backfill/merge/chunk-merge.ts',
      "else if (touch === 'partial') partly.push(row);",
      "else if (touch === 'partial') append(event, 'r');",
    ],
  ],
  [
    'drops rows for events that were rolled back',
    ['model/chunk-window.ts', 'if (window.lastTransaction === this.transaction) window', 'if (Date.now() < 0) window'],
  ],
  [
    'merges rows of one view before the stream has reached it',
    ['backfill/work/worker.ts', 'await reachWatermark(context, piece.high);', ''],
  ],
  [
    'keeps a view although the stream has some columns newer',
    [
      'backfill/work/worker.ts',
      'if (partly === undefined || partly.length > 0) throw',
      'if (partly === undefined) throw',
    ],
  ],
  ['overlooks a TRUNCATE', ['model/chunk-window.ts', 'this.#emptied = true;', '']],
  ['overlooks DDL', ['model/chunk-window.ts', 'for (const window of windows) window.invalid = why;', 'void windows;']],
  [
    'compares keys by their hash alone',
    ['model/chunk-window.ts', 'event.locateKey();', 'if (event.keyHash >= 0) return String(event.keyHash);'],
  ],
  [
    'records nothing any more while rows are merged',
    ['backfill/work/worker.ts', READ, `watch.close(window);\n${READ}`],
  ],
  [
    'begins again with the ordinals at a restart',
    ['backfill/merge/ordinals.ts', 'this.next = reserved;', 'this.next = 0;'],
  ],
  [
    'uses ordinals that no checkpoint has reserved',
    ['backfill/merge/ordinals.ts', 'return this.#durable - this.next;', 'return 1000;'],
    ['backfill/merge/ordinals.ts', 'return this.next + ORDINALS_RESERVED;', 'return this.next;'],
  ],
  [
    'counts a chunk as done before it is delivered',
    [
      'backfill/merge/chunk-merge.ts',
      'delivery.commitSnapshot(isLast && partly.length === 0 ? onDelivered : undefined);',
      'delivery.commitSnapshot();\nif (isLast && partly.length === 0) onDelivered();',
    ],
  ],
  [
    'counts a chunk as done before its last rows are read again',
    ['backfill/merge/chunk-merge.ts', 'isLast && partly.length === 0 ?', 'isLast ?'],
  ],
  [
    'saves how far it has read instead of how far it is delivered',
    [
      'backfill/work/table-job.ts',
      'key, begun, rows, estimatedRows, ranges };',
      'key, begun, rows, estimatedRows, ranges: ranges.map(({ cursor, upTo }) => ({ after: cursor, upTo })) };',
    ],
  ],
  [
    'takes what it has read for delivered',
    ['backfill/work/table-job.ts', 'range.after = lastKey;', 'range.after = range.cursor;'],
  ],
  [
    'reads rows again while the stream continues',
    ['backfill/merge/chunk-merge.ts', 'resume: pauseStream()', 'resume: () => {}'],
  ],
  ['never lets the stream go on', ['backfill/merge/chunk-merge.ts', 'paused.resume();', '']],
  [
    'continues a table whose rows were changed by a statement',
    ['backfill/work/table-job.ts', 'this.ranges = [new RangeJob(WHOLE_TABLE)];', ''],
  ],
  ['ends a range with its first chunk', ['backfill/work/worker.ts', 'range.isRead = isLast;', 'range.isRead = true;']],
  ['loses the second half of a range', ['backfill/work/table-job.ts', 'this.ranges.push(second);', '']],
  [
    'leaves rows in the next transaction',
    [
      'delivery/delivery.ts',
      'const done = this.#watermark.snapshotCommitted(',
      'if (onDelivered === undefined) return;\nconst done = this.#watermark.snapshotCommitted(',
    ],
  ],
  [
    'says that rows are delivered while they wait',
    [
      'delivery/watermark-tracker.ts',
      'return false;\n    }\n    onDelivered?.();',
      'onDelivered?.();\n return false;\n    }\n    onDelivered?.();',
    ],
  ],
  [
    'counts what is delivered without what is before it',
    ['delivery/watermark-tracker.ts', '(onDelivered !== undefined && this.pendingCount > 0)', '(Date.now() < 0)'],
  ],
  [
    'leaves rows in the lake that went without an event',
    ['backfill/work/worker.ts', 'if (!job.isBegun) await this.#begin(table);', ''],
  ],
  [
    'counts a copy as begun before the event that empties the table is delivered',
    ['backfill/work/worker.ts', 'job.isBeginning = true;', 'job.isBeginning = job.isBegun = true;'],
  ],
];

/** Mutants that need a rare history; only a long run of the model looks for them. */
const RARE_MUTANTS: typeof MUTANTS = [
  ['opens windows before what an earlier run has sent', ['backfill/work/worker.ts', 'await caughtUp();', '']],
  [
    'forgets keys that are too many',
    ['model/chunk-window.ts', "this.invalid = 'too many rows changed while the chunk was read';", ''],
  ],
  [
    'asks what was processed before its window opens',
    [
      'backfill/work/worker.ts',
      OPENED,
      'await (async (processed) => merge.atBoundary(() => ({ window: watch.open(), processed })))(merge.processed());',
    ],
  ],
  [
    'opens between a statement and its commit',
    ['model/chunk-window.ts', 'this.isTransactionOpen = true;\n    this.invalidate', 'this.invalidate'],
  ],
  [
    'begins a table again with nobody to read it',
    [
      'backfill/backfill.ts',
      'job.restart();\n    }\n    // All workers have ended if only the delivery of the last chunk was awaited.\n    this.#startWorkers();',
      'job.restart();\n    }',
    ],
  ],
  [
    'gives rows a place before rows that are merged already',
    [
      'backfill/merge/merge-point.ts',
      'if (at !== undefined && isBefore(this.#point, at)) this.#point = at;',
      'if (at !== undefined) this.#point = at;',
    ],
  ],
  [
    'reads rows again as of before the pause',
    [
      'backfill/merge/chunk-merge.ts',
      'processed: merge.processed() }));\n  const emit',
      'processed: early }));\n  const emit',
    ],
    [
      'backfill/merge/chunk-merge.ts',
      'while (ordinals.available < rows.length',
      'const early = merge.processed();\n  while (ordinals.available < rows.length',
    ],
  ],
];
/** Mutants of a repair. */
const REPAIR_MUTANTS: typeof MUTANTS = [
  [
    'repairs keys that the stream has newer',
    ['backfill/repair/merge-keys.ts', 'if (touch !== undefined) return false;', ''],
  ],
  [
    'repairs keys before the stream has reached what was read',
    ['backfill/repair/repairs.ts', 'else await reachWatermark(this.#options, found.high);', ''],
  ],
  [
    'repairs rows of before a statement that gives no row events',
    [
      'backfill/repair/repairs.ts',
      'if (read.window.invalid !== undefined || read.window.isEmptied)',
      'if (Date.now() < 0)',
    ],
  ],
  [
    'repairs rows of a window that opened too late',
    ['backfill/repair/repairs.ts', 'await connection.waitUntilVisible(processed);', 'watch.close(window);'],
    [
      'backfill/repair/repairs.ts',
      'const read = { found, readAt: Date.now(), window };',
      'const read = { found, readAt: Date.now(), window: watch.open() };',
    ],
  ],
  [
    'deletes two keys with one seq',
    [
      'backfill/repair/merge-keys.ts',
      'writer.writeSnapshotDelete(Buffer.from(key), ordinals.next++,',
      'writer.writeSnapshotDelete(Buffer.from(key), ordinals.next,',
    ],
  ],
  [
    'says that a repair is delivered before it is',
    ['backfill/repair/repairs.ts', 'await abortable(delivered, signal);', ''],
  ],
];
const COMMON_MUTANTS = [...MUTANTS, ...REPAIR_MUTANTS];
const ALL_MUTANTS = process.env.CDC_MODEL_RUNS ? [...COMMON_MUTANTS, ...RARE_MUTANTS] : COMMON_MUTANTS;

describe('the model finds a backfill that', () => {
  test.each(ALL_MUTANTS)(
    '%s',
    async (_, ...edits) => {
      const inOneView = edits.some(([, from]) => from.includes('piece') || from.includes('partly.length > 0)'));
      const setups = SETUPS.filter(({ whole = false }) => whole === inOneView);
      const mutant = await loadParts([...MODEL_LIMITS, ...edits]);
      await expect(
        (async () => {
          for (let i = 0; i < 3_000; i++) {
            await checkBackfill(mutant, setups[i % setups.length] as BackfillSetup, 10, i);
          }
        })(),
      ).rejects.toThrow('Property failed');
    },
    300_000,
  );
});
