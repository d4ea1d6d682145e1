import { expect, test } from 'vitest';
import { GENERATED, IMPLICIT } from '../../../../src/source/schema/declared-columns.ts';
import { columnFill } from '../../../../src/warehouse/tables/column-fill.ts';
import { columnKind } from '../../../../src/warehouse/tables/column-kind.ts';
import { VALUES } from '../landed.ts';

const fill = (columnType: string, defaultText: string | undefined, values = VALUES) => {
  const declared = { dataType: columnType.replace(/\W.*/, ''), columnType };
  const kind = columnKind(declared, undefined, values)!;
  return columnFill({ ...declared, ...(defaultText !== undefined && { defaultText }) }, kind, values);
};

test.each([
  ['int', '5', '5'],
  ['int', undefined, undefined],
  ['int', GENERATED, undefined],
  ['int', 'uuid()', undefined],
  ['bit(3)', "b'101'", '5'],
  ['decimal(5,2)', '1.50', '1.50'],
  ['varchar(9)', "it's", "it's"],
  ['date', '2026-01-02', '2026-01-02'],
  ['datetime', '2026-01-02 03:04:05', '2026-01-02T03:04:05'],
  ['datetime', 'CURRENT_TIMESTAMP', undefined],
  ['time', '-01:00:00', '-01:00:00'],
  ['binary(3)', '0x00FF', 'AP8A'],
  ['varbinary(3)', 'ab', 'YWI='],
  ['json', "_utf8mb4\\'{}\\'", undefined],
  ['int', IMPLICIT, '0'],
  ['varchar(9)', IMPLICIT, ''],
  ["enum('it''s','b')", IMPLICIT, "it's"],
  ['binary(2)', IMPLICIT, 'AAA='],
  ['time', IMPLICIT, '00:00:00'],
  ['date', IMPLICIT, undefined],
  ['json', IMPLICIT, 'null'],
])('older rows have of a new column %s with the default %s: %s', (type, text, expected) => {
  expect(fill(type, text)).toBe(expected);
});

test('the default has the form that the values have in the events', () => {
  const values = { ...VALUES, temporal: 'epoch_micros', binary: 'hex' } as const;
  expect(fill('datetime(6)', '2026-01-02 03:04:05.000006', values)).toBe('1767323045000006');
  expect(fill('date', '1970-01-02', values)).toBe('86400000000');
  expect(fill('time', '01:00:00', values)).toBeUndefined();
  expect(fill('varbinary(3)', '0x00FF', values)).toBe('00ff');
  expect(fill('datetime', '2026-01-02 03:04:05', { ...VALUES, temporal: 'mysql' })).toBe('2026-01-02 03:04:05');
});
