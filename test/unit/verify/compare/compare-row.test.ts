import { describe, expect, test } from 'vitest';
import type { ValueOptions } from '../../../../src/config/schema.ts';
import { type DeclaredColumn, GENERATED, IMPLICIT } from '../../../../src/source/schema/declared-columns.ts';
import { compareRow, type RowComparison } from '../../../../src/verify/compare/compare-row.ts';
import { otherForms } from '../../../../src/verify/source/other-forms.ts';
import { textOf } from '../../../../src/verify/source/source-row.ts';
import { comparedColumn, DEFAULT_VALUES, declared, type HowWritten } from '../compared-table.ts';

/** Compares one column. `raw` is its value as the server converts it; `lake` is JSON, undefined if it is not there. */
function compare(
  column: DeclaredColumn,
  raw: string | Buffer | null,
  lake: string | undefined,
  how: HowWritten = {},
): RowComparison {
  const compared = comparedColumn(column, how);
  const bytes = raw === null ? null : Buffer.from(raw);
  const values: ValueOptions = { ...DEFAULT_VALUES, ...how.values };
  return compareRow(
    [compared],
    [{ text: textOf(compared, bytes), raw: bytes }],
    new Map(lake === undefined ? [] : [[column.name, lake]]),
    (other) => otherForms(other, values, how.format ?? 'debezium'),
  );
}

const EQUAL: RowComparison = { columns: [], hasOtherForm: false, addedLater: [] };
const isDifferent = ({ columns }: RowComparison): boolean => columns.length > 0;
const v = (type: string, more?: Partial<DeclaredColumn>): DeclaredColumn => declared('v', type, more);

describe('a value is equal', () => {
  test.each<[string, string, string | null, string]>([
    ['if its text is', 'int', '7', '7'],
    ['if both are NULL', 'int', null, 'null'],
    ['with another escape in a string', 'varchar(9)', 'ü"', '"\\u00fc\\""'],
    ['as a double of another spelling', 'double', '1e25', '1E25'],
    ['as a double with a zero behind its point', 'double', '100', '100.0'],
    ['as a float that is the nearest one', 'float', '0.10000000149011612', '0.10000000149'],
    ['as JSON with other white space', 'json', '{"a": 1}', '"{\\"a\\": 1}"'],
  ])('%s', (_, type, raw, lake) => {
    expect(compare(v(type), raw, lake)).toEqual(EQUAL);
  });

  test('as a nested document with other white space', () => {
    expect(compare(v('json'), '{"a": [1, 2]}', '{"a":[1,2]}', { values: { json: 'nested' } })).toEqual(EQUAL);
  });
});

describe('a value differs', () => {
  test.each<[string, string, string | null, string]>([
    ['in its last digit beyond the digits of a double', 'bigint', '9007199254740993', '9007199254740992'],
    ['in the scale of a decimal', 'decimal(8,2)', '1.50', '"1.5"'],
    ['from NULL', 'int', null, '0'],
    ['as NULL from a text', 'varchar(9)', null, '"null"'],
    ['as a text from NULL', 'varchar(9)', 'null', 'null'],
    ['in the sign of zero', 'double', '-0', '0'],
    ['as a double from a string', 'double', '1', '"1"'],
    ['in a space at the end', 'varchar(9)', 'a', '"a "'],
    ['in its case', 'varchar(9)', 'a', '"A"'],
    ['in white space within a string of JSON', 'json', '{"a": "b c"}', '"{\\"a\\": \\"b  c\\"}"'],
  ])('%s', (_, type, raw, lake) => {
    expect(compare(v(type), raw, lake)).toMatchObject({ columns: [{ name: 'v', lake }], hasOtherForm: false });
  });

  test('and long values are cut where they are kept', () => {
    const [difference] = compare(v('longtext'), 'x'.repeat(10_000), `"${'y'.repeat(10_000)}"`).columns;
    expect(difference?.source).toMatch(/^"x{199}… \(10002 characters\)$/);
    expect(difference?.lake).toMatch(/^"y{199}… \(10002 characters\)$/);
  });
});

describe('the form of other `values` options is that, and no difference', () => {
  test.each<[keyof ValueOptions, string, string | Buffer, string]>([
    ['bigint', 'bigint', '7', '"7"'],
    ['decimal', 'decimal(8,2)', '1.50', '1.50'],
    ['json', 'json', '{"a": 1}', '{"a": 1}'],
    ['binary', 'varbinary(9)', Buffer.of(1, 0xff), '"01ff"'],
    ['temporal', 'datetime', '2024-01-02 03:04:05', '"2024-01-02 03:04:05"'],
    ['temporal', 'time', '-00:00:01', '-1000000'],
    ['zero_dates', 'date', '0000-00-00', 'null'],
    ['boolean', 'tinyint(1)', '1', 'true'],
    ['boolean', 'bit(1)', '0', 'false'],
  ])('%s: %s', (_, type, raw, lake) => {
    expect(compare(v(type), raw, lake)).toEqual({ ...EQUAL, hasOtherForm: true });
  });

  test.each([
    ['another value in that form', 'bigint', '7', '"8"'],
    ['a string in place of a number that is no bigint', 'int', '7', '"7"'],
    ['null in place of a date that is not zero', 'date', '2024-01-02', 'null'],
  ])('but not %s', (_, type, raw, lake) => {
    const found = compare(v(type), raw, lake);
    expect([isDifferent(found), found.hasOtherForm]).toEqual([true, false]);
  });

  test('but not behind a rule, which hides the value', () => {
    const rule = { kind: 'mask', keep: 9 } as const;
    expect(isDifferent(compare(v('decimal(8,2)'), '1.50', '1.50', { rule }))).toBe(true);
  });

  test('and a masked vector is no vector', () => {
    const masked = { rule: { kind: 'mask', keep: 0 } } as const;
    const one = Buffer.of(0, 0, 0x80, 0x3f);
    expect(compare(v('vector(2)'), Buffer.concat([one, one]), '"*****"', masked)).toEqual(EQUAL);
    expect(isDifferent(compare(v('vector(2)'), Buffer.concat([one, one]), '[1,1,1,1,1]', masked))).toBe(true);
  });

  test('in format maxwell only for the options that it has', () => {
    expect(compare(v('bigint'), '7', '"7"', { format: 'maxwell' }).hasOtherForm).toBe(true);
    expect(isDifferent(compare(v('decimal(8,2)'), '1.50', '"1.50"', { format: 'maxwell' }))).toBe(true);
  });
});

describe('a column that the row of the lake lacks', () => {
  const ADDED = { ...EQUAL, addedLater: ['v'] };

  test.each<[string, DeclaredColumn, string | Buffer | null]>([
    ['NULL', v('int'), null],
    ['the default', v('int', { defaultText: '7' }), '7'],
    ['the default in another spelling', v('decimal(8,2)', { defaultText: '7' }), '7.00'],
    ['a text as the default', v('varchar(9)', { defaultText: 'new' }), 'new'],
    ['an empty text as the default', v('varchar(9)', { defaultText: '' }), ''],
    ['a generated value', v('int', { defaultText: GENERATED }), '1234'],
    ['a float', v('float', { defaultText: '0.1' }), '0.10000000149011612'],
    ['a double', v('double', { defaultText: '1e3' }), '1000'],
    ['a time', v('datetime(3)', { defaultText: '2024-01-02 03:04:05' }), '2024-01-02 03:04:05.000'],
    ['bits', v('bit(5)', { defaultText: "b'101'" }), '5'],
    ['bytes', v('binary(3)', { defaultText: '0x616200' }), 'ab\0'],
    ['bytes of MariaDB', v('binary(3)', { defaultText: 'ab' }), 'ab\0'],
    ['zero in a NOT NULL column', v('int', { defaultText: IMPLICIT }), '0'],
    ['zero of several digits', v('decimal(8,2)', { defaultText: IMPLICIT }), '0.00'],
    ['a zero date', v('datetime(3)', { defaultText: IMPLICIT }), '0000-00-00 00:00:00.000'],
    ['no time', v('time', { defaultText: IMPLICIT }), '00:00:00'],
    ['an empty text in a NOT NULL column', v('varchar(9)', { defaultText: IMPLICIT }), ''],
    ['empty bytes', v('binary(2)', { defaultText: IMPLICIT }), '\0\0'],
    ['the first label', v("enum('it''s a','b')", { defaultText: IMPLICIT }), "It's A"],
    ['null in a NOT NULL document', v('json', { defaultText: IMPLICIT }), 'null'],
  ])('was added later if the source has %s', (_, column, raw) => {
    expect(compare(column, raw, undefined)).toEqual(ADDED);
  });

  test.each<[string, DeclaredColumn, string | Buffer]>([
    ['a value without a default', v('int'), '0'],
    ['another value than the default', v('int', { defaultText: '7' }), '8'],
    ['a text where the default is empty', v('varchar(9)', { defaultText: '' }), '0'],
    ['an empty text where the default is 0', v('varchar(9)', { defaultText: '0' }), ''],
    ['another text of the same number', v('varchar(9)', { defaultText: '1' }), '1.0'],
    ['another last digit', v('bigint', { defaultText: '9007199254740992' }), '9007199254740993'],
    ['another decimal', v('decimal(8,2)', { defaultText: '10' }), '1'],
    ['other bits', v('bit(5)', { defaultText: "b'101'" }), '101'],
    ['other bytes', v('binary(3)', { defaultText: '0x616200' }), 'abc'],
    ['a number that is not zero', v('int', { defaultText: IMPLICIT }), '10'],
    ['a text of zeros', v('varchar(9)', { defaultText: IMPLICIT }), '0'],
    ['a time that is not zero', v('time', { defaultText: IMPLICIT }), '00:00:01'],
    ['another label', v("enum('a','b')", { defaultText: IMPLICIT }), 'b'],
  ])('is a difference if the source has %s', (_, column, raw) => {
    expect(compare(column, raw, undefined).columns).toMatchObject([{ name: 'v', lake: undefined }]);
  });
});

test.each([
  ['a boolean', 'tinyint(1)', '1', { values: { boolean: ['tinyint1' as const] } }],
  ['a time', 'datetime', '2024-01-02 03:04:05', { values: { temporal: 'epoch_micros' as const } }],
  ['a hashed text', 'varchar(9)', 'new', { rule: { kind: 'hash' as const, secret: 's' } }],
])('the default is that of the server, not of the event: %s', (_, type, text, how) => {
  expect(compare(v(type, { defaultText: text }), text, undefined, how)).toEqual({ ...EQUAL, addedLater: ['v'] });
});

test('a column that only the lake has was dropped, and does not count', () => {
  const lake = new Map([
    ['id', '1'],
    ['old', '"value"'],
  ]);
  const id = comparedColumn(declared('id', 'int'));
  expect(compareRow([id], [{ text: '1', raw: Buffer.from('1') }], lake, () => [])).toEqual(EQUAL);
});
