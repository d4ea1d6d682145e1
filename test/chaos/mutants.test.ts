import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { edited } from './edit.ts';
import { MUTANTS } from './mutants.ts';
import type { MutantsReport } from './report.ts';
import { BUILD, runForReport } from './run-command.ts';
import { TAKEOVER_MUTANTS } from './takeover/mutants.ts';

describe('a mutant', () => {
  const edits = Object.entries({ ...MUTANTS, ...TAKEOVER_MUTANTS }).flatMap(([mutant, { edits }]) =>
    edits.map((edit) => ({ mutant, edit })),
  );

  test.each(edits)('has an edit that applies: the daemon $mutant', ({ edit }) => {
    const source = readFileSync(join(BUILD, 'src', `${edit.file}.js`), 'utf8');
    expect(edited(source, edit)).not.toBe(source);
  });

  // `npm run chaos:bugs` runs all of them.
  test.each([
    'moves the watermark to the newest transaction',
    'spreads the events of a key over the lanes',
    'sends what XA ROLLBACK has undone',
  ])(
    'is found: the daemon %s',
    async (mutant) => {
      const found = await runForReport<MutantsReport>('run-mutants', '--bug', mutant, '--within', '240');
      expect(found.mutants).toMatchObject([{ mutant, caught: true }]);
    },
    400_000,
  );
});
