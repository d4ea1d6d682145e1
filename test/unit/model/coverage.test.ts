import { describe, expect, test } from 'vitest';
import { Coverage, DROPPED_TABLES_MAX } from '../../../src/model/coverage.ts';
import { COPY_BEGUN } from '../../../src/model/incomplete-tables.ts';

const SINCE = '2026-01-01T00:00:00.000Z';
const LATER = '2026-02-01T00:00:00.000Z';
const fresh = (): Coverage => new Coverage({ followedSince: SINCE, complete: [], incomplete: [] });
const backfilled = (table: string) => ({ schema: 'd', table, since: LATER, why: 'backfilled' as const });
const rewritten = (table: string) => ({
  ...{ schema: 'd', table, file: 'binlog.000001', position: 4 },
  ...{ since: LATER, why: 'TRUNCATE PARTITION' },
});
const VERIFIED_AT = '2026-03-01T00:00:00.000Z';
const result = (table: string, differences = {}) => ({
  ...{ schema: 'd', table, at: VERIFIED_AT, scope: 'whole' as const, rows: 12_345 },
  ...{ missing: 0, extra: 0, different: 0, ...differences },
});
/** A table that is complete, with a result of `cdc verify`. */
const verified = (differences = {}): Coverage => {
  const coverage = fresh();
  coverage.add(backfilled('t'));
  coverage.compared(result('t', differences));
  return coverage;
};
const resultOf = (coverage: Coverage, name: string) => coverage.verified.find(({ table }) => table === name);
const WITHDRAWN = { complete: false, since: VERIFIED_AT };

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

describe('what cdc verify finds', () => {
  test.each([
    [{ missing: 1 }, '1 row that differs'],
    [{ extra: 1 }, '1 row that differs'],
    [{ different: 1 }, '1 row that differs'],
    [{ missing: 1_000, extra: 200, different: 34 }, '1,234 rows that differ'],
  ])('withdraws the coverage of a table with %j', (differences, found) => {
    const coverage = verified(differences);
    expect(coverage.of('d', 't')).toEqual({ ...WITHDRAWN, why: `cdc verify found ${found}` });
    expect(resultOf(coverage, 't')).toEqual(result('t', differences));
    expect(coverage.statusOf('d', 't')).toEqual({
      coverage: coverage.of('d', 't'),
      verified: { at: VERIFIED_AT, scope: 'whole', rows: 12_345, missing: 0, extra: 0, different: 0, ...differences },
    });
    expect(coverage.statusOf('d', 'u')).toEqual({ coverage: coverage.of('d', 'u'), verified: null });
    expect([coverage.of('d', 'u'), resultOf(coverage, 'u')]).toEqual([fresh().of('d', 'u'), undefined]);
  });

  test('withdraws it for a part of the table too', () => {
    expect(verified({ scope: 'part', missing: 1 }).of('d', 't')).toMatchObject(WITHDRAWN);
  });

  test('leaves a table complete in which nothing differs, and says when', () => {
    const coverage = verified();
    expect(coverage.of('d', 't')).toEqual({ complete: true, since: LATER, why: 'backfilled' });
    expect(resultOf(coverage, 't')).toEqual(result('t'));
  });

  test('does not complete a table of which there was no copy, or whose rows a statement changed', () => {
    const coverage = fresh();
    coverage.rewritten(rewritten('u'));
    for (const table of ['t', 'u']) coverage.compared(result(table));
    expect([coverage.of('d', 't').complete, coverage.of('d', 'u').complete]).toEqual([false, false]);
  });

  test('gives the coverage back if the whole table was compared and nothing differs', () => {
    const coverage = verified({ missing: 3 });
    expect(coverage.compared(result('t', { at: '2026-03-02T00:00:00.000Z' }))).toBe(true);
    expect(coverage.of('d', 't')).toEqual({ complete: true, since: LATER, why: 'backfilled' });
  });

  test.each([
    ['a part', { scope: 'part', at: '2026-03-02T00:00:00.000Z' }],
    ['a run that ended before', { at: '2026-02-28T00:00:00.000Z' }],
  ])('does not give it back if %s has no differences', (_, other) => {
    const coverage = verified({ missing: 3 });
    expect(coverage.compared(result('t', other))).toBe(false);
    expect(coverage.of('d', 't')).toMatchObject(WITHDRAWN);
    expect(resultOf(coverage, 't')).toEqual(result('t', { missing: 3 }));
  });

  test('of a part is kept only if it differs, and does not hide the last result of the whole table', () => {
    const coverage = verified();
    const later = { scope: 'part', rows: 5, at: '2026-03-02T00:00:00.000Z' };
    expect(coverage.compared(result('t', later))).toBe(false);
    expect(resultOf(coverage, 't')).toEqual(result('t'));
    expect(coverage.compared(result('u', later))).toBe(false);
    expect(resultOf(coverage, 'u')).toBeUndefined();
    expect(coverage.compared(result('t', { ...later, different: 1 }))).toBe(true);
    expect(coverage.of('d', 't')).toMatchObject({ complete: false, since: later.at });
  });

  test('ends with the repair of all that was found, and not with that of some of it', () => {
    const coverage = verified({ missing: 3, extra: 1 });
    const [first, second] = ['2026-03-02T00:00:00.000Z', '2026-03-03T00:00:00.000Z'];
    const some = { scope: 'part', rows: 4, at: first, missing: 1, repairOf: VERIFIED_AT };
    expect(coverage.compared(result('t', some))).toBe(true);
    expect(coverage.of('d', 't')).toMatchObject({ complete: false, why: 'cdc verify found 1 row that differs' });
    const all = { scope: 'part', rows: 1, at: second, repairOf: first };
    expect(coverage.compared(result('t', { ...all, repairOf: VERIFIED_AT }))).toBe(false);
    expect(coverage.of('d', 't').complete).toBe(false);
    expect(coverage.compared(result('t', all))).toBe(true);
    expect(coverage.of('d', 't')).toEqual({ complete: true, since: LATER, why: 'backfilled' });
    // The others were compared before.
    expect(resultOf(coverage, 't')).toEqual(result('t', { at: second }));
    expect(coverage.compared(result('t', all))).toBe(false);
  });

  test('in a part of the table ends with its repair, and no result stays', () => {
    const coverage = verified({ scope: 'part', missing: 3 });
    expect(
      coverage.compared(result('t', { scope: 'part', at: '2026-03-02T00:00:00.000Z', repairOf: VERIFIED_AT })),
    ).toBe(true);
    expect(coverage.of('d', 't').complete).toBe(true);
    expect(resultOf(coverage, 't')).toBeUndefined();
  });

  test.each([
    ['whole', false],
    ['whole', true],
    ['part', false],
    ['part', true],
  ] as const)(
    'in the %s table and later in a part ends only with the whole table (restarted: %s)',
    (scope, restart) => {
      let coverage = verified({ scope, missing: 3 });
      const part = { scope: 'part', rows: 5, at: '2026-03-02T00:00:00.000Z', different: 1 };
      // The answer to the first request can be lost.
      for (let i = 0; i < 2; i++) expect(coverage.compared(result('t', part))).toBe(true);
      expect(resultOf(coverage, 't')).toEqual(result('t', { ...part, hasEarlier: true }));
      if (restart) coverage = new Coverage(coverage.saved);
      const repair = { scope: 'part', rows: 1, at: '2026-03-03T00:00:00.000Z', repairOf: part.at };
      expect(coverage.compared(result('t', repair))).toBe(false);
      expect(coverage.of('d', 't')).toMatchObject({ complete: false, since: part.at });
      expect(coverage.compared(result('t', { at: repair.at }))).toBe(true);
      expect(coverage.of('d', 't').complete).toBe(true);
      expect(resultOf(coverage, 't')).toEqual(result('t', { at: repair.at }));
    },
  );

  test('that arrives before an older one of the whole table needs a result of the whole table too', () => {
    const coverage = verified({ missing: 3 });
    const before = result('t', { at: '2026-02-28T00:00:00.000Z', missing: 2 });
    expect(coverage.compared(before)).toBe(true);
    const repair = { scope: 'part', at: '2026-03-02T00:00:00.000Z', repairOf: before.at };
    expect(coverage.compared(result('t', repair))).toBe(false);
    expect(coverage.of('d', 't').complete).toBe(false);
  });

  test('sent again changes nothing', () => {
    for (const differences of [{ missing: 3 }, { scope: 'part', missing: 3 }]) {
      const coverage = verified(differences);
      expect(coverage.compared(result('t', differences))).toBe(true);
      expect(resultOf(coverage, 't')).toEqual(result('t', differences));
    }
  });

  test.each(['backfilled', 'created', 'emptied'] as const)('ends with a table that is %s', (why) => {
    for (const differences of [{}, { missing: 1, different: 1 }]) {
      const coverage = verified(differences);
      coverage.add({ ...backfilled('t'), why });
      expect(coverage.of('d', 't')).toEqual({ complete: true, since: LATER, why });
      expect(resultOf(coverage, 't')).toBeUndefined();
    }
  });

  test('stays after a copy that leaves rows in the lake that only the lake has', () => {
    const copied = verified({ extra: 1 });
    copied.add(backfilled('t'));
    expect(copied.of('d', 't')).toMatchObject(WITHDRAWN);
    const replaced = verified({ extra: 1 });
    replaced.rewritten({ ...rewritten('t'), why: COPY_BEGUN });
    expect(replaced.of('d', 't')).toMatchObject({ complete: false, why: COPY_BEGUN });
    replaced.add(backfilled('t'));
    expect(replaced.of('d', 't').complete).toBe(true);
    for (const why of ['created', 'emptied'] as const) {
      const begun = verified({ extra: 1 });
      begun.add({ ...backfilled('t'), why });
      expect(begun.of('d', 't').complete).toBe(true);
    }
  });

  test('makes the next copy empty the table in the lake first', () => {
    const saved = { fresh: true, followedSince: SINCE, complete: [backfilled('t')], incomplete: [] };
    const coverage = new Coverage(saved);
    expect(coverage.mayHaveStaleRows('d', 't')).toBe(false);
    coverage.compared(result('t', { missing: 1 }));
    expect(coverage.mayHaveStaleRows('d', 't')).toBe(true);
    coverage.compared(result('t'));
    expect(coverage.mayHaveStaleRows('d', 't')).toBe(false);
  });

  test.each(['t', '*'])('ends with a statement that changes rows of %s without row events', (table) => {
    const coverage = verified({ missing: 3 });
    coverage.compared(result('u'));
    coverage.compared({ ...result('t'), schema: 'e' });
    coverage.rewritten(rewritten(table));
    expect(coverage.of('d', 't')).toEqual({ complete: false, since: LATER, why: 'TRUNCATE PARTITION' });
    const kept = table === '*' ? ['e.t'] : ['d.u', 'e.t'];
    expect(coverage.verified.map((other) => `${other.schema}.${other.table}`)).toEqual(kept);
  });

  test('withdraws also what a mark of the whole schema does not concern any more', () => {
    const coverage = fresh();
    coverage.rewritten(rewritten('*'));
    coverage.add(backfilled('t'));
    coverage.compared(result('t', { different: 2 }));
    expect(coverage.of('d', 't')).toMatchObject(WITHDRAWN);
    coverage.compared(result('t'));
    expect([coverage.of('d', 't').complete, coverage.of('d', 'u').complete]).toEqual([true, false]);
  });

  test('is forgotten for tables that are not captured any more', () => {
    const coverage = verified({ missing: 3 });
    coverage.compared(result('u'));
    coverage.follow(['d.u'], (_, table) => table === 'u');
    expect(coverage.verified.map(({ table }) => table)).toEqual(['u']);
  });

  test('survives a restart', () => {
    const restarted = new Coverage(verified({ missing: 3 }).saved);
    expect(restarted.of('d', 't')).toMatchObject(WITHDRAWN);
    expect(restarted.verified).toEqual([result('t', { missing: 3 })]);
  });
});

describe('a table that is dropped', () => {
  test('leaves the list of complete tables, and its result is gone', () => {
    const coverage = verified();
    coverage.dropped('d', 't');
    expect([coverage.complete, coverage.verified]).toEqual([[], []]);
  });

  test('is complete when it is created again, however that is seen', () => {
    for (const isRestarted of [false, true]) {
      let coverage = fresh();
      for (const table of ['t', 'u']) coverage.add({ ...backfilled(table), why: 'emptied' });
      for (const table of ['t', 'u']) coverage.dropped('d', table);
      if (isRestarted) coverage = new Coverage(coverage.saved);
      coverage.add({ ...backfilled('t'), why: 'created' });
      // CREATE TABLE IF NOT EXISTS says nothing, but its rows do.
      coverage.exists('d', 'u');
      expect(coverage.complete.map(({ table, why }) => [table, why])).toEqual([
        ['t', 'created'],
        ['u', 'emptied'],
      ]);
      expect(coverage.saved.dropped).toEqual([]);
    }
  });

  test('does not become complete by rows if it was not complete before', () => {
    const coverage = fresh();
    coverage.rewritten({ ...rewritten('t'), why: COPY_BEGUN });
    coverage.dropped('d', 't');
    coverage.exists('d', 't');
    expect(coverage.of('d', 't')).toMatchObject({ complete: false, why: COPY_BEGUN });
    coverage.exists('d', 'u');
    expect(coverage.of('d', 'u').complete).toBe(false);
  });

  test.each(['t', '*'])('is not complete if a statement changes rows of %s before it is created again', (table) => {
    const coverage = fresh();
    coverage.add(backfilled('t'));
    coverage.dropped('d', 't');
    coverage.rewritten(rewritten(table));
    coverage.exists('d', 't');
    expect(coverage.of('d', 't').complete).toBe(false);
  });

  test('is one of a bounded number', () => {
    const coverage = fresh();
    for (let i = 0; i < 1_500; i++) {
      coverage.add({ ...backfilled(`t${i}`), why: 'created' });
      coverage.dropped('d', `t${i}`);
    }
    expect(coverage.complete).toEqual([]);
    expect(coverage.saved.dropped).toHaveLength(DROPPED_TABLES_MAX);
    expect([coverage.of('d', 't1499').complete, coverage.of('d', 't0').complete]).toEqual([true, false]);
  });

  test('is forgotten if it is not captured any more', () => {
    const coverage = fresh();
    coverage.add(backfilled('t'));
    coverage.dropped('d', 't');
    coverage.follow(['d.u'], () => false);
    coverage.exists('d', 't');
    expect(coverage.of('d', 't').complete).toBe(false);
  });
});
