import { describe, expect, test } from 'vitest';
import { Coverage } from '../../../src/model/coverage.ts';
import { checkCoverage, equalTables } from '../../../src/preflight/check-coverage.ts';

const SINCE = '2026-01-02T03:04:05.000Z';
const mark = (table: string) => ({
  schema: 'shop',
  table,
  file: 'b.000001',
  position: 9,
  since: SINCE,
  why: 'RENAME TABLE',
});
const named = (...tables: string[]) => tables.map((table) => ({ schema: 'shop', table }));
const coverageOf = (complete: string[], marked: string[] = []): Coverage =>
  new Coverage({
    followedSince: SINCE,
    complete: complete.map((table) => ({ schema: 'shop', table, since: SINCE, why: 'created' as const })),
    incomplete: marked.map(mark),
  });
const backfillOf = (...tables: string[]) => ({
  backfill: {
    ...{ paused: false, parallel: null, rate: null, maxLagMs: null, ordinals: 0 },
    tables: tables.map((table) => ({
      ...{ schema: 'shop', table, request: 'r', where: null, key: '', begun: true, rows: 0, estimatedRows: 0 },
      ranges: [],
    })),
  },
});

const AT = '2026-03-01T00:00:00.000Z';
const result = (table: string, differences = {}) => ({
  ...{ schema: 'shop', table, at: AT, scope: 'whole' as const, rows: 12_345 },
  ...{ missing: 0, extra: 0, different: 0, ...differences },
});

describe('cdc check names the tables that are not complete', () => {
  test('none of them if all are complete', () => {
    expect(checkCoverage(named('a', 'b'), coverageOf(['a', 'b']), backfillOf())).toEqual([]);
  });

  test('those that never were complete, on one line with the command that completes them', () => {
    const [finding, ...others] = checkCoverage(named('a', 'b', 'c d'), coverageOf(['b']), backfillOf());
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      severity: 'warning',
      what: '2 tables are not complete, shop.a among them',
      why: `cdc has sent only what changed since ${SINCE}`,
      fix: "cdc backfill shop.a 'shop.`c d`'",
    });
  });

  test('before the first start, which leaves out rows that do not change', () => {
    const [finding] = checkCoverage(named('a'), coverageOf([]), undefined);
    expect(finding).toMatchObject({ what: 'shop.a is not complete', fix: 'cdc backfill shop.a' });
    expect(finding?.why).toContain('sends no row that does not change');
  });

  test('one whose rows a statement changed, with that statement, and once only', () => {
    const findings = checkCoverage(named('a', 'b'), coverageOf(['b'], ['a']), backfillOf());
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ what: expect.stringContaining('shop.a'), fix: 'cdc backfill shop.a' });
    expect(findings[0]?.why).toContain('RENAME TABLE');
  });

  test('all tables of a schema', () => {
    const [finding] = checkCoverage(named('a', 'b'), coverageOf([], ['*']), backfillOf());
    expect(finding).toMatchObject({
      what: expect.stringContaining('the tables of shop'),
      fix: "cdc backfill 'shop.*'",
    });
  });

  test('not one that a backfill is copying', () => {
    expect(checkCoverage(named('a', 'b'), coverageOf(['b'], ['a']), backfillOf('a'))).toEqual([]);
  });

  test('many of them in one line of bounded length', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `t${i}`);
    const [finding] = checkCoverage(named(...names), coverageOf([]), backfillOf());
    expect(finding?.fix).toMatch(/^cdc backfill {3}\(shop\.t0, .* and 9980 more\)$/);
    expect(finding?.fix.length).toBeLessThan(400);
  });
});

describe('cdc check says what cdc verify has found', () => {
  test('a warning for each table that differs, with the command that mends it, and no other for that table', () => {
    const coverage = coverageOf(['a', 'b', 'c d']);
    for (const [table, found] of [
      ['a', {}],
      ['b', { missing: 1, extra: 2_000, different: 3 }],
      ['c d', { scope: 'part', rows: 5, missing: 1 }],
    ] as const) {
      coverage.compared(result(table, found));
    }
    expect(checkCoverage(named('a', 'b', 'c d'), coverage, backfillOf())).toEqual([
      {
        severity: 'warning',
        what: `cdc verify found 2,004 rows that differ in shop.b at ${AT}`,
        why: 'the lake lacks 1, has 2,000 that the source does not have, and has other values in 3 (the whole table: 12,345 rows of the source)',
        fix: 'cdc verify --repair shop.b',
      },
      {
        severity: 'warning',
        what: `cdc verify found 1 row that differs in shop.\`c d\` at ${AT}`,
        why: 'the lake lacks 1, has 0 that the source does not have, and has other values in 0 (a part of the table: 5 rows of the source)',
        fix: "cdc verify --repair 'shop.`c d`'",
      },
    ]);
  });

  test('beside the warning that a table never was copied, or that a statement changed its rows', () => {
    const coverage = coverageOf([], ['a']);
    for (const table of ['a', 'b']) coverage.compared(result(table, { missing: 1 }));
    const commands = checkCoverage(named('a', 'b'), coverage, backfillOf()).map(({ fix }) => fix);
    expect(commands).toEqual([
      ...['cdc backfill shop.b', 'cdc backfill shop.a'],
      ...['cdc verify --repair shop.a', 'cdc verify --repair shop.b'],
    ]);
  });

  test('nothing of a table that a backfill is copying, or that is not there', () => {
    const coverage = coverageOf(['a', 'b']);
    for (const table of ['a', 'b']) coverage.compared(result(table, { missing: 1 }));
    expect(checkCoverage(named('a'), coverage, backfillOf('a'))).toEqual([]);
  });

  test('a line for each table that is equal, up to a number', () => {
    expect(equalTables([result('a'), result('c d', { rows: 1 }), result('b', { missing: 1 })])).toEqual([
      `shop.a: 12,345 rows verified at ${AT}, equal`,
      `shop.\`c d\`: 1 row verified at ${AT}, equal`,
    ]);
    const many = Array.from({ length: 1_500 }, (_, i) => result(`t${i}`));
    const lines = equalTables(many);
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe(`and 1,480 more tables, verified since ${AT}, equal`);
  });
});
