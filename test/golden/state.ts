import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { vi } from 'vitest';
import { type Decoded, decode, saveCheckpoint, summarize, type Variation, writeLetter } from './decode.ts';
import { type FixtureName, FOLDER, readFixture } from './files.ts';

/** `saved_at` of the checkpoints, and `at` of the dead letters. */
const SAVED_AT = new Date('2026-01-02T03:04:05.678Z');

/** Runs something that writes the time of the clock. */
export async function atGoldenTime<T>(run: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ now: SAVED_AT, toFake: ['Date'] });
  try {
    return await run();
  } finally {
    vi.useRealTimers();
  }
}

/** With GTIDs, tagged ones too; with a MariaDB position and remembered tables; with remembered tables alone. */
export const CHECKPOINTS: readonly FixtureName[] = ['mysql-9.7', 'mariadb-10.11', 'mysql-9.7-unnamed'];
export const checkpointPath = (name: FixtureName): string => join(FOLDER, 'checkpoints', `${name}.json`);

/** Of MariaDB's tables that are remembered, which are many, a few serve. */
const MOST_COLUMNS = 120;

/** Saves what `cdc run` would save at the end of a fixture. */
export async function writeCheckpoint({ checkpoint }: Decoded, path: string): Promise<void> {
  let columns = 0;
  const tables = checkpoint.tables.filter((table) => (columns += table.columns.length) <= MOST_COLUMNS);
  await atGoldenTime(() => saveCheckpoint(path, { ...checkpoint, tables }));
}

export const LETTERS: readonly { fixture: FixtureName; format: Variation['format'] }[] = [
  { fixture: 'mysql-9.7', format: 'debezium' },
  { fixture: 'mysql-9.7', format: 'flat' },
  { fixture: 'mysql-9.7', format: 'maxwell' },
  { fixture: 'mariadb-10.11', format: 'debezium' },
  { fixture: 'mysql-9.7-unnamed', format: 'debezium' },
  { fixture: 'mysql-9.7-unnamed', format: 'maxwell' },
];
export const lettersFolder = ({ fixture, format }: (typeof LETTERS)[number]): string =>
  join(FOLDER, 'dead-letters', `${fixture}.${format}`);

const REASONS = [
  'refused by Firehose: ValidationException: no',
  'the line is 1,024,001 bytes, and Firehose takes 1,024,000',
  'named in dead_letter.events',
  'HTTP 400: "quoted" \\ ü\n😀',
];

/** Writes dead letters of lines of each kind: with a key of one column or two, without, of odd names, of a TRUNCATE. */
export async function writeLetters(decoded: Decoded, variation: Variation, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const kinds = new Set<string>();
  for (const event of decoded.lines) {
    if (event.length > 2000 || !event.includes('"golden_story"')) continue;
    const summary = summarize(event, variation, decoded.tables);
    const kind = /orders|two_keys/.test(summary.table) && summary.op !== 'd' ? '' : `${summary.table} ${summary.op}`;
    if (kind === '' ? kinds.has(summary.table) : kinds.has(kind)) continue;
    kinds.add(kind || summary.table);
    const reason = REASONS[kinds.size % REASONS.length] as string;
    const letter = { stream: 'golden', ...summary, reason, attempts: kinds.size - 1, event };
    await atGoldenTime(() => writeLetter(folder, letter));
    if (kinds.size === MOST_LETTERS) return;
  }
}

const MOST_LETTERS = 12;

export async function writeCheckpointFiles(): Promise<void> {
  for (const name of CHECKPOINTS) {
    await writeCheckpoint(decode(readFixture(name), { format: 'debezium' }), checkpointPath(name));
  }
}

export async function writeLetterFiles(): Promise<void> {
  for (const each of LETTERS) {
    const variation = { format: each.format };
    // The letters of an older fixture have other names.
    await rm(lettersFolder(each), { recursive: true, force: true });
    await writeLetters(decode(readFixture(each.fixture), variation), variation, lettersFolder(each));
  }
}
