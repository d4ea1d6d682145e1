import { describe, expect, test } from 'vitest';
import { Op } from '../../../../src/lake/event-scanner.ts';
import type { HistoryEvent } from '../../../../src/verify/compare/history.ts';
import {
  isProvenEqual,
  judge,
  neededEvents,
  newSuspect,
  rowHash,
  type Suspect,
} from '../../../../src/verify/compare/suspects.ts';
import { hashText } from '../../../../src/verify/lake/row-key.ts';
import { packValues, textOf } from '../../../../src/verify/source/source-row.ts';
import { comparedColumn, comparedTable, declared } from '../compared-table.ts';

const TABLE = comparedTable(
  comparedColumn(declared('id', 'int')),
  comparedColumn(declared('v', 'varchar(9)')),
  comparedColumn(declared('n', 'bigint')),
);

/** The members of row 1 with these values. */
const row = (v: string, n = '5'): string => `"id":1,"v":"${v}","n":${n}`;
const image = (seq: string, members: string, more: Partial<HistoryEvent> = {}): HistoryEvent => ({
  ...{ seq, op: Op.row, isPartial: false, row: hashText(members), members },
  ...{ place: { object: 0, offset: Number(seq), length: 9 }, ...more },
});
const partial = (seq: string, members: string): HistoryEvent => image(seq, members, { isPartial: true });
const gone = (seq: string): HistoryEvent => image(seq, '', { op: Op.gone });

/** The key 1 of which the source had this row, or none, between seq 20 and seq 40. */
function suspect(source: [v: string, n?: string] | undefined, ...events: HistoryEvent[]): Suspect {
  const found: Suspect = { ...newSuspect('\0\0key', '{"id":1}'), events, from: '20', to: '40' };
  if (source === undefined) return found;
  const values = ['1', source[0], source[1] ?? '5'].map((text) => Buffer.from(text));
  found.source = packValues(values);
  found.sourceRow = rowHash(
    TABLE,
    TABLE.columns.map((column, i) => textOf(column, values[i] as Buffer)),
  );
  return found;
}

const isProven = (one: Suspect, emptied: string[] = []): boolean => isProvenEqual(one, TABLE, emptied);
/** How it differs, as `kind columns`; `equal` if it does not. */
function verdict(one: Suspect, emptied: string[] = [], isWhole = true): string {
  const { difference } = judge(one, TABLE, emptied, () => [], isWhole);
  if (difference === undefined) return 'equal';
  return [difference.kind, ...difference.columns.map(({ name }) => name)].join(' ');
}
const both = (one: Suspect, emptied: string[] = []): [boolean, string] => [
  isProven(one, emptied),
  verdict(one, emptied),
];
const EQUAL = [true, 'equal'];

describe('a row is equal if the lake had it at some time while it was read', () => {
  test.each<[string, HistoryEvent[]]>([
    ['at the begin', [image('10', row('a')), image('30', row('b'))]],
    ['at the end', [image('10', row('b')), image('30', row('a'))]],
    ['in between', [image('10', row('b')), image('25', row('a')), image('30', row('c'))]],
    ['for a moment before it was deleted', [image('25', row('a')), gone('30')]],
    ['after it was deleted', [image('10', row('b')), gone('25'), image('30', row('a'))]],
  ])('%s', (_, events) => {
    expect(both(suspect(['a'], ...events))).toEqual(EQUAL);
  });

  test.each<[string, HistoryEvent[], string]>([
    ['before', [image('05', row('a')), image('10', row('b'))], 'different v'],
    ['after', [image('10', row('b')), image('50', row('a'))], 'different v'],
    ['before it was deleted', [image('05', row('a')), gone('10')], 'missing'],
    ['never', [], 'missing'],
  ])('and differs if it had it only %s', (_, events, expected) => {
    expect(both(suspect(['a'], ...events))).toEqual([false, expected]);
  });

  test('no row is equal to a state without a row', () => {
    expect(both(suspect(undefined))).toEqual(EQUAL);
    expect(both(suspect(undefined, image('10', row('a')), gone('30')))).toEqual(EQUAL);
    expect(both(suspect(undefined, image('30', row('a'))))).toEqual(EQUAL);
    expect(both(suspect(undefined, image('10', row('a'))), ['30'])).toEqual(EQUAL);
    expect(both(suspect(undefined, image('10', row('a')), image('30', row('b'))))).toEqual([false, 'extra']);
  });

  test('the columns that differ are those of the last state', () => {
    const events = [image('10', row('b', '6')), image('30', row('a', '7'))];
    expect(verdict(suspect(['a'], ...events))).toBe('different n');
  });
});

describe('two events of one seq that differ', () => {
  const rivals = [image('10', row('a')), image('10', row('b'))];

  test.each([...rivals.map(({ members }) => members), row('c')])('leave no row that is equal: not %s', (members) => {
    const [, v = ''] = /"v":"(.)"/.exec(members as string) ?? [];
    expect(both(suspect([v], ...rivals))).toEqual([false, 'different v']);
  });

  test('do not count if they are older than the row', () => {
    expect(both(suspect(['c'], ...rivals, image('15', row('c'))))).toEqual(EQUAL);
  });

  test('that mean the same in another spelling are no difference', () => {
    const spelled = image('10', row('\\u0061'));
    const one = suspect(['a'], image('10', row('a')), spelled);
    expect(both(one)).toEqual([false, 'equal']);
  });
});

describe('partial images', () => {
  const whole = image('10', row('a'));

  test('make a row together', () => {
    expect(both(suspect(['b'], whole, partial('15', '"id":1,"v":"b"')))).toEqual(EQUAL);
    expect(both(suspect(['b', '7'], whole, partial('15', '"v":"b"'), partial('30', '"n":7')))).toEqual(EQUAL);
  });

  test('are a state each', () => {
    const events = [whole, partial('25', '"v":"b"'), partial('30', '"n":7')];
    for (const state of [['a'], ['b'], ['b', '7']] as [string, string?][]) {
      expect(both(suspect(state, ...events))).toEqual(EQUAL);
    }
    expect(both(suspect(['a', '7'], ...events))).toEqual([false, 'different v']);
  });

  test('of which one is lost leave a row that differs', () => {
    expect(both(suspect(['b', '7'], whole, partial('30', '"n":7')))).toEqual([false, 'different v']);
    expect(both(suspect(['b'], partial('15', '"v":"b"')))).toEqual([false, 'different id n']);
  });
});

test('of partial images only the columns that they have are compared, if older objects were left out', () => {
  const some = [partial('15', '"id":1,"v":"b"')];
  expect(verdict(suspect(['b', '7'], ...some), [], false)).toBe('equal');
  expect(verdict(suspect(['a', '7'], ...some), [], false)).toBe('different v');
  // A whole image leaves out nothing.
  expect(verdict(suspect(['b', '7'], image('15', '"id":1,"v":"b"')), [], false)).toBe('different n');
});

test('a row whose hash differs only in the spelling of a value is equal once its values are read', () => {
  expect(both(suspect(['a'], image('10', '"n":5,"v":"\\u0061","id":1')))).toEqual([false, 'equal']);
});

test('the event in another form is named, and columns that were added later', () => {
  const forms = () => [{ name: 'n', select: 'n', toJson: (value: Buffer) => `"${value}"` }];
  const table = comparedTable(...TABLE.columns, comparedColumn(declared('later', 'int', { defaultText: '3' })));
  const one = suspect(['a'], image('10', row('a', '"5"')));
  one.source = packValues(['1', 'a', '5', '3'].map((text) => Buffer.from(text)));
  expect(judge(one, table, [], forms, true)).toEqual({
    difference: undefined,
    otherForm: one.events[0]?.place,
    addedLater: ['later'],
  });
});

describe('of the lake are needed', () => {
  const unread = (event: HistoryEvent): HistoryEvent => ({ ...event, members: undefined });
  const needed = (one: Suspect): string[] => neededEvents(one, []).map(({ seq }) => seq);

  test('the events of the states that the row can have, which are not there yet', () => {
    const events = [
      image('05', row('a')),
      image('10', row('b')),
      gone('25'),
      image('30', row('c')),
      image('50', row('d')),
    ];
    expect(needed(suspect(['a'], ...events.map(unread))).sort()).toEqual(['10', '30']);
    expect(needed(suspect(['a'], ...events))).toEqual([]);
  });

  test('all partial images since the last whole one, and both of two rivals', () => {
    const events = [image('05', row('a')), image('10', row('b')), partial('15', '"n":1'), partial('15', '"n":2')];
    expect(needed(suspect(['a'], ...events.map(unread))).sort()).toEqual(['10', '15', '15']);
  });

  test('none where the source has no row', () => {
    expect(needed(suspect(undefined, unread(image('10', row('a')))))).toEqual([]);
  });
});
