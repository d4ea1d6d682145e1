import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * Which rooms a room may enter, besides itself. A file at the top of src is a room of its own.
 * Everyone may use the leaves: error, folder, lock-file, log, raw-json and version.
 */
const MAY_IMPORT: Record<string, string[]> = {
  change: [],
  config: ['change'],
  binlog: ['change'],
  codec: ['change'],
  delivery: ['change'],
  firehose: ['change'],
  checkpoint: ['change'],
  'dead-letter': ['change'],
  schema: ['change', 'binlog'],
  lake: ['change', 'codec', 'config'],
  'local-mysql': [],
  'local-firehose': ['config'],
  preflight: ['change', 'config', 'firehose', 'binlog', 'checkpoint', 'choose-source.ts'],
  'start-point.ts': ['change', 'binlog', 'checkpoint', 'schema'],
  'choose-source.ts': ['binlog', 'checkpoint', 'config', 'start-point.ts'],
  'passed-over.ts': ['change', 'start-point.ts'],
  'changes.ts': ['change', 'binlog', 'codec', 'config', 'schema', 'passed-over.ts', 'start-point.ts'],
  'pipeline.ts': [
    'change',
    'binlog',
    'checkpoint',
    'config',
    'delivery',
    'firehose',
    'changes.ts',
    'choose-source.ts',
    'troubled-events.ts',
  ],
  'troubled-events.ts': ['change', 'codec', 'config', 'dead-letter', 'delivery'],
  'daemon.ts': ['checkpoint', 'config', 'preflight', 'pipeline.ts'],
  demo: ['change', 'config', 'lake', 'local-mysql', 'local-firehose'],
  commands: [
    'change',
    'binlog',
    'checkpoint',
    'codec',
    'config',
    'dead-letter',
    'demo',
    'firehose',
    'lake',
    'local-firehose',
    'preflight',
    'changes.ts',
    'choose-source.ts',
    'daemon.ts',
  ],
  'main.ts': ['commands'],
};
const LEAVES = ['error.ts', 'folder.ts', 'lock-file.ts', 'log.ts', 'raw-json.ts', 'version.ts'];

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map(normalize);

const roomOf = (file: string): string => file.split(/[\\/]/)[0] as string;

function imports(file: string): string[] {
  const text = readFileSync(join('src', file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s+'(\.[^']+)'/g)].map((match) =>
    relative('src', join('src', dirname(file), match[1] as string)),
  );
}

describe('the rooms of src', () => {
  test.each(files)('%s enters only the rooms it may', (file) => {
    const room = roomOf(file);
    const allowed = LEAVES.includes(room) ? LEAVES : MAY_IMPORT[room];
    expect(allowed, `room ${room} is not in the plan`).toBeDefined();
    const strangers = imports(file)
      .map(roomOf)
      .filter((to) => to !== room && !LEAVES.includes(to) && !allowed?.includes(to));
    expect(strangers).toEqual([]);
  });

  test('only main.ts ends the process', () => {
    const enders = files.filter((file) => /process\.exit\(/.test(readFileSync(join('src', file), 'utf8')));
    expect(enders).toEqual(['main.ts']);
  });

  test('no message sends the operator to a command that does not exist yet', () => {
    const later = /cdc (?:backfill|status|verify|sql)\b/;
    expect(files.filter((file) => later.test(readFileSync(join('src', file), 'utf8')))).toEqual([]);
  });

  test('the domain imports no package', () => {
    const packages = files
      .filter((file) => roomOf(file) === 'change')
      .flatMap((file) =>
        [...readFileSync(join('src', file), 'utf8').matchAll(/from '([^.'][^']*)'/g)].map((m) => m[1]),
      );
    expect(packages).toEqual([]);
  });
});
