import { describe, expect, test } from 'vitest';
import { Coverage } from '../../../src/model/coverage.ts';
import { COPY_BEGUN } from '../../../src/model/incomplete-tables.ts';

const SINCE = '2026-01-01T00:00:00.000Z';
const LATER = '2026-02-01T00:00:00.000Z';
const fresh = (): Coverage => new Coverage({ followedSince: SINCE, complete: [], incomplete: [] });
const backfilled = (table: string) => ({ schema: 'd', table, since: LATER, why: 'backfilled' as const });
const rewritten = (table: string) => ({
  ...{ schema: 'd', table, file: 'binlog.000001', position: 4 },
  ...{ since: LATER, why: 'TRUNCATE PARTITION' },
});

describe('the coverage of a table', () => {
  test('has only the changes since the stream began, until the table is complete', () => {
    const coverage = fresh();
    expect(coverage.of('d', 't')).toEqual({ complete: false, since: SINCE, why: 'only changes since then' });
    coverage.add(backfilled('t'));
    expect(coverage.of('d', 't')).toEqual({ complete: true, since: LATER, why: 'backfilled' });
    expect(coverage.of('d', 'other').complete).toBe(false);
    expect(coverage.of('e', 't').complete).toBe(false);
  });

  test('ends with a statement that changes rows without row events, and returns with another copy', () => {
    const coverage = fresh();
    coverage.add(backfilled('t'));
    coverage.rewritten(rewritten('t'));
    expect(coverage.of('d', 't')).toEqual({ complete: false, since: LATER, why: 'TRUNCATE PARTITION' });
    coverage.add(backfilled('t'));
    expect(coverage.of('d', 't').complete).toBe(true);
    expect(coverage.incomplete).toEqual([]);
  });

  test('ends for every table of a schema that a statement changed as a whole', () => {
    const coverage = fresh();
    for (const table of ['t', 'u']) coverage.add(backfilled(table));
    coverage.add({ ...backfilled('t'), schema: 'e' });
    coverage.rewritten(rewritten('*'));
    expect(coverage.complete.map(({ schema, table }) => `${schema}.${table}`)).toEqual(['e.t']);
    expect(coverage.of('d', 't').complete).toBe(false);
    coverage.add(backfilled('t'));
    expect([coverage.of('d', 't').complete, coverage.of('d', 'u').complete]).toEqual([true, false]);
  });

  test('is forgotten for tables whose changes are not followed any more', () => {
    const coverage = fresh();
    for (const table of ['t', 'u']) coverage.add(backfilled(table));
    coverage.follow(['d.u'], (_, table) => table === 'u');
    expect(coverage.complete.map(({ table }) => table)).toEqual(['u']);
  });

  test.each([[], [rewritten('*')]])(
    'of a copy that has begun comes with its end, and with no TRUNCATE before',
    (...marks) => {
      const coverage = fresh();
      for (const mark of marks) coverage.rewritten(mark);
      coverage.rewritten({ ...rewritten('t'), why: COPY_BEGUN });
      // The stream gives it again after a crash, and it was before the event with which the copy began.
      for (const why of ['emptied', 'created'] as const) expect(coverage.add({ ...backfilled('t'), why })).toBe(false);
      expect(coverage.of('d', 't')).toMatchObject({ complete: false, why: COPY_BEGUN });
      expect(coverage.add(backfilled('t'))).toBe(true);
      expect(coverage.of('d', 't').complete).toBe(true);
    },
  );

  test.each([
    ['a table of a lake that was empty when the stream began', { fresh: true }, [], false],
    ['a table of a lake that an earlier checkpoint has filled', { fresh: false }, [], true],
    ['a table whose rows a statement changed', { fresh: true }, [rewritten('t')], true],
    ['a table that was not captured for a time', { fresh: true, tables: ['d.u'] }, [], true],
    ['a table that is complete', { fresh: false, complete: [backfilled('t')] }, [], false],
  ])('%s can have stale rows in the lake, or not', (_, saved, marks, expected) => {
    const coverage = new Coverage({ followedSince: SINCE, complete: [], incomplete: [], tables: ['d.*'], ...saved });
    for (const mark of marks) coverage.rewritten(mark);
    coverage.follow(['d.*'], () => true);
    expect(coverage.mayHaveStaleRows('d', 't')).toBe(expected);
  });

  test('survives a restart', () => {
    const coverage = fresh();
    coverage.add(backfilled('t'));
    coverage.rewritten(rewritten('u'));
    const restarted = new Coverage(coverage.saved);
    expect(restarted.of('d', 't')).toEqual(coverage.of('d', 't'));
    expect(restarted.of('d', 'u')).toEqual(coverage.of('d', 'u'));
  });
});
