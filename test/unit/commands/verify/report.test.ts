import { describe, expect, test } from 'vitest';
import { damageLines, exitCodeOf, jsonReport, textReport } from '../../../../src/commands/verify/report.ts';
import type { RowDifference } from '../../../../src/verify/compare/suspects.ts';
import { emptyResult, type TableResult } from '../../../../src/verify/table-result.ts';

const result = (more: Partial<TableResult> = {}, table = 'orders'): TableResult => ({
  ...emptyResult('shop', table),
  ...{ rows: 1_000, lakeRows: 1_000, ...more },
});
const scan = (more = {}) => ({
  damage: [],
  copies: [],
  objects: 2,
  events: 1_500,
  notCompared: [] as string[],
  ...more,
});
const DAMAGE = { object: 'a/b.gz', line: 7, lines: 1, why: 'it is not JSON' };
const missing = (id: number): RowDifference => ({ kind: 'missing', key: `{"id":${id}}`, columns: [] });
const column = (name: string, lake?: string) => ({ name, source: '"secret"', lake });

describe('the exit code', () => {
  test.each<[string, 0 | 1 | 4, Partial<TableResult>, object[]]>([
    ['is 0 if all is equal', 0, {}, []],
    ['is 0 if all that differed was repaired', 0, { repaired: 3 }, []],
    ['is 1 if an object is damaged', 1, {}, [DAMAGE]],
    ['is 1 if a key is not decided', 1, { undecided: 1 }, []],
    ['is 4 if a row is missing', 4, { missing: 1 }, []],
    ['is 4 if only the lake has a row', 4, { extra: 1 }, []],
    ['is 4 if a row has other values', 4, { different: 1 }, []],
    ['is 4 if a row differs beside damage and keys that are not decided', 4, { missing: 1, undecided: 1 }, [DAMAGE]],
  ])('%s', (_, code, more, damage) => {
    const of = scan({ damage });
    expect(exitCodeOf([result(), result(more)], of)).toBe(code);
    expect(JSON.parse(jsonReport([result(more)], of, 1)).ok).toBe(code === 0);
  });

  test('is 0 for no table', () => expect(exitCodeOf([], scan())).toBe(0));
});

describe('the text', () => {
  const lines = (results: TableResult[], of = scan()): string[] => textReport(results, of, 52).split('\n');

  test('names the rows that differ, then counts, then the verdict', () => {
    const orders = result({
      ...{ missing: 1, extra: 1, different: 1 },
      differences: [
        missing(1),
        { kind: 'extra', key: '{"id":2}', columns: [] },
        { kind: 'different', key: '{"id":3}', columns: [column('status', '"x"'), column('later')] },
      ],
    });
    expect(lines([result({}, 'customers'), orders])).toEqual([
      'shop.orders {"id":1}: missing in the lake',
      'shop.orders {"id":2}: only in the lake',
      'shop.orders {"id":3}: differs in status, later (not in the lake)',
      'shop.customers: 1,000 rows, equal',
      'shop.orders: 1,000 rows, 1 row missing, 1 row only in the lake, 1 row of other values',
      '2,000 rows against 1,500 events in 2 objects, 52 s: the lake differs',
      '',
    ]);
  });

  test('never has a value', () => {
    const differences: RowDifference[] = [{ kind: 'different', key: '{"id":3}', columns: [column('v', '"other"')] }];
    const results = [result({ different: 1, differences })];
    for (const text of [textReport(results, scan(), 1), jsonReport(results, scan(), 1)]) {
      expect(text).toContain('id');
      expect(text).not.toMatch(/secret|other"/);
    }
  });

  test('says how many rows are not listed', () => {
    const some = result({ missing: 1_002, differences: [missing(1), missing(2)] });
    expect(lines([some])[2]).toBe('shop.orders: 1,000 more rows not listed (--list)');
    expect(lines([result({ missing: 3 })])[0]).toBe('shop.orders: 1,000 rows, 3 rows missing');
  });

  const CANNOT = '1,000 rows, 1 row of other values, 1 row cannot be repaired by key: cdc backfill shop.orders';
  test.each<[string, Partial<TableResult>, string]>([
    ['keys that are not decided', { undecided: 1 }, '1,000 rows, 1 key not decided in the time of --wait'],
    ['rows that were repaired', { repaired: 2 }, '1,000 rows, equal, 2 rows repaired'],
    ['rows without a way to repair', { different: 1, unrepairable: 1 }, CANNOT],
    ['columns that were added', { addedLater: ['a', 'b'] }, '1,000 rows, equal, rows from before a, b do not have it'],
    ['a table of another stream', { isElsewhere: true }, 'not compared, its events go to another stream'],
    ['one row', { rows: 1 }, '1 row, equal'],
  ])('has %s', (_, more, expected) => {
    expect(lines([result(more)])[0]).toBe(`shop.orders: ${expected}`);
  });

  test('ends with the verdict', () => {
    expect(lines([result()]).at(-2)).toMatch(/: the lake equals the source$/);
    expect(lines([result({ undecided: 1 })]).at(-2)).toMatch(/: not everything could be compared$/);
    expect(lines([result()], scan({ damage: [DAMAGE] })).at(-2)).toMatch(/: not everything could be compared$/);
  });

  test('has no control characters of names and keys', () => {
    const odd = result({ different: 1, addedLater: ['l\x1b[31mn'] }, 'o\nr\x1b[2J');
    odd.differences = [{ kind: 'different', key: '{"k":"\x1b"}', columns: [column('c\rd', '1')] }];
    expect(textReport([odd], scan(), 1).replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(lines([odd])).toHaveLength(4);
  });
});

describe('the lines about objects', () => {
  test('name damage with its line, and copies', () => {
    const copies = [{ object: 'c', of: 'b' }];
    expect(damageLines(scan({ damage: [DAMAGE, { ...DAMAGE, lines: 3 }], copies }))).toEqual([
      'damaged: a/b.gz, line 7: it is not JSON',
      'damaged: a/b.gz, line 7, and 2 more lines: it is not JSON',
      'a copy: c has the same bytes as b; it adds nothing',
    ]);
  });

  test('have no control characters of their names', () => {
    const copies = [{ object: 'c\n', of: 'b\x1b' }];
    const lines = damageLines(scan({ damage: [{ ...DAMAGE, object: 'a\x1b[2J' }], copies }));
    expect(lines.join('')).not.toMatch(/\p{Cc}/u);
  });
});

test('the JSON has the counts, the differences without values, and what is wrong with objects', () => {
  const orders = result({
    ...{ different: 1, foundAt: '2026-01-01T00:00:00Z', isElsewhere: false },
    differences: [{ kind: 'different', key: '{"id":9007199254740993}', columns: [column('v', '1')] }],
  });
  const elsewhere = { ...result({}, 'log'), isElsewhere: true };
  const copies = [{ object: 'c', of: 'b' }];
  const text = jsonReport([orders, elsewhere], scan({ damage: [DAMAGE], copies }), 1.26);
  expect(text.endsWith('}\n')).toBe(true);
  const counts = {
    schema: 'shop',
    rows: 1_000,
    lakeRows: 1_000,
    missing: 0,
    extra: 0,
    undecided: 0,
    repaired: 0,
    unrepairable: 0,
  };
  expect(JSON.parse(text)).toEqual({
    ok: false,
    tables: [
      {
        ...{ ...counts, table: 'orders', compared: true, different: 1, addedLater: [] },
        differences: [{ kind: 'different', key: '{"id":9007199254740993}', columns: ['v'] }],
      },
      { ...counts, table: 'log', compared: false, different: 0, addedLater: [], differences: [] },
    ],
    ...{ notCompared: [], damage: [DAMAGE], copies, objects: 2, events: 1_500, seconds: 1.3 },
  });
});
