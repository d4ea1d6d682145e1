import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copyLetters, type Decoded, decode, loadCheckpoint, saveCheckpoint, type Variation } from './decode.ts';
import { FIXTURES, type FixtureName, readFixture, readSections, withChanges } from './files.ts';
import { digestLine, summariesOf } from './outputs.ts';
import {
  atGoldenTime,
  CHECKPOINTS,
  checkpointPath,
  LETTERS,
  lettersFolder,
  writeCheckpoint,
  writeLetters,
} from './state.ts';
import { DEFAULTS, FULL_FORMAT, variationsOf } from './variations.ts';

/**
 * Byte for byte what the code wrote before: the binlogs of real servers are read again, and each line, each commit,
 * each table version, each checkpoint and each dead letter must be the one that was recorded. A change of the golden
 * files is a change of what users receive, or of what lies on their disks.
 */

/** Fails with the first line that differs, of megabytes that are the same. */
function expectLines(actual: readonly Buffer[], expected: readonly Buffer[]): void {
  const at = expected.findIndex((line, i) => actual[i] === undefined || !line.equals(actual[i]));
  if (at >= 0) expect(`line ${at + 1}: ${actual[at] ?? 'is missing'}`).toBe(`line ${at + 1}: ${expected[at]}`);
  expect(actual).toHaveLength(expected.length);
}

/** The journal without the table versions that it has already: when one is asked for again is no promise. */
function withoutRepeatedTables(journal: readonly Buffer[]): Buffer[] {
  const versions = new Set<string>();
  return journal.filter((line) => {
    const { table, columns, key } = JSON.parse(line.toString()) as Record<string, unknown>;
    const version = JSON.stringify([table, columns, key]);
    if (table === undefined || !versions.has(version)) {
      versions.add(version);
      return true;
    }
    return false;
  });
}

const asLines = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(`${text}\n`));

const made = new Map<string, Decoded>();
/** The events of a fixture with default values, made once. */
function decoded(name: FixtureName, format: Variation['format']): Decoded {
  const known = made.get(`${name} ${format}`) ?? decode(readFixture(name), { format });
  made.set(`${name} ${format}`, known);
  return known;
}

describe.each(FIXTURES)('the binlog of %s', (name) => {
  const golden = readSections(name);
  const section = (title: string): readonly Buffer[] => golden.get(title) ?? [];
  const digests = section('digests').map((line) => line.toString().trimEnd());

  test.each(DEFAULTS)('gives the same events in format $format, byte for byte', (named) => {
    expectLines(decoded(name, named.format).lines, section(named.section));
  });

  test.each(DEFAULTS)('gives events of which a message says the same, in format $format', (named) => {
    const summaries = asLines(summariesOf(decoded(name, named.format), named));
    expect(digests).toContain(digestLine(`${named.format} summaries`, summaries));
  });

  test('gives the same transactions, savepoints, statements and table versions in the same order', () => {
    const { journal } = decoded(name, FULL_FORMAT);
    expectLines(withoutRepeatedTables(asLines(journal)), withoutRepeatedTables(section('journal')));
  });

  test('ends at the same position, with the same tables remembered', () => {
    const { checkpoint } = decoded(name, FULL_FORMAT);
    expectLines(asLines([JSON.stringify(checkpoint)]), section('checkpoint'));
  });

  const fixture = readFixture(name);
  test.each(variationsOf(name))('gives the same events with $section', ({ format, section: title, variation }) => {
    const { lines } = decode(fixture, variation);
    if (format === FULL_FORMAT) expectLines(lines, withChanges(section(`${format} default`), section(title)));
    else expect(digests).toContain(digestLine(title, lines));
  });
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cdc-golden-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe.each(CHECKPOINTS)('the checkpoint of %s', (name) => {
  const golden = readFileSync(checkpointPath(name), 'utf8');

  test('is read, and written again with the same bytes', async () => {
    const path = join(folder, 'again.json');
    const checkpoint = await loadCheckpoint(checkpointPath(name));
    await atGoldenTime(() => saveCheckpoint(path, checkpoint));
    expect(readFileSync(path, 'utf8')).toBe(golden);
  });

  test('is what the end of its binlog saves', async () => {
    const path = join(folder, 'end.json');
    await writeCheckpoint(decoded(name, FULL_FORMAT), path);
    expect(readFileSync(path, 'utf8')).toBe(golden);
  });
});

const contents = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((file) => [file, readFileSync(join(directory, file), 'utf8')]),
  );

describe.each(LETTERS)('the dead letters of $fixture in format $format', (each) => {
  test('are read, and written again with the same bytes', async () => {
    await copyLetters(lettersFolder(each), folder);
    expect(contents(folder)).toEqual(contents(lettersFolder(each)));
  });

  test('are what its events make', async () => {
    const { fixture, format } = each;
    await writeLetters(decoded(fixture, format), { format }, folder);
    expect(contents(folder)).toEqual(contents(lettersFolder(each)));
  });
});
