import { describe, expect, test } from 'vitest';
import { Coverage } from '../../../src/model/coverage.ts';
import { checkCoverage } from '../../../src/preflight/check-coverage.ts';

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

describe('cdc check names the tables that the lake does not hold completely', () => {
  test('none of them if all are complete', () => {
    expect(checkCoverage(named('a', 'b'), coverageOf(['a', 'b']), backfillOf())).toEqual([]);
  });

  test('those that never were complete, on one line with the command that completes them', () => {
    const [finding, ...others] = checkCoverage(named('a', 'b', 'c d'), coverageOf(['b']), backfillOf());
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      severity: 'warning',
      what: '2 tables are not complete in the lake, shop.a among them',
      why: `it holds only what changed since ${SINCE}`,
      fix: "cdc backfill shop.a 'shop.`c d`'",
    });
  });

  test('before the first start, which leaves out rows that do not change', () => {
    const [finding] = checkCoverage(named('a'), coverageOf([]), undefined);
    expect(finding).toMatchObject({ what: 'shop.a is not complete in the lake', fix: 'cdc backfill shop.a' });
    expect(finding?.why).toContain('rows that do not change stay out');
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
