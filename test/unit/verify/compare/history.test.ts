import { describe, expect, test } from 'vitest';
import { Op } from '../../../../src/lake/event-scanner.ts';
import {
  eventsOf,
  type HistoryEvent,
  orderEvents,
  rowOfState,
  statesBetween,
} from '../../../../src/verify/compare/history.ts';

const event = (seq: string, op: number = Op.row, more: Partial<HistoryEvent> = {}): HistoryEvent => ({
  ...{ seq, op, isPartial: false, row: `row ${seq}`, place: { object: 0, offset: 0, length: 0 }, members: undefined },
  ...more,
});
/** The states as the seqs of their events, `-` for no row. */
function states(events: HistoryEvent[], from: string, to: string, emptied: string[] = []): string[] {
  const history = orderEvents(events);
  return statesBetween(history, emptied, from, to).map((state) =>
    state === undefined ? '-' : (history.events[state.event] as HistoryEvent).seq,
  );
}

describe('the states of a key between two points', () => {
  const events = [event('30'), event('10'), event('20', Op.gone)];

  test.each([
    ['before all events', '05', '08', ['-']],
    ['one state', '12', '15', ['10']],
    ['a deletion in between', '12', '25', ['-', '10']],
    ['everything', '05', '35', ['30', '-', '10', '-']],
    ['behind all events', '35', '40', ['30']],
    ['an event at the point from is later than the point', '10', '15', ['10', '-']],
    ['an event at the point to is later than the point', '12', '20', ['10']],
  ])('%s', (_, from, to, expected) => {
    expect(states(events, from, to)).toEqual(expected);
  });

  test.each([
    ['a TRUNCATE before from', '35', '40', ['32'], ['-']],
    ['a TRUNCATE in between', '12', '15', ['13'], ['-', '10']],
    ['a TRUNCATE before an event', '12', '35', ['25'], ['30', '-', '-', '10']],
    ['a TRUNCATE behind to', '12', '15', ['17'], ['10']],
  ])('with %s', (_, from, to, emptied, expected) => {
    expect(states(events, from, to, emptied)).toEqual(expected);
  });
});

describe('events of one seq', () => {
  test('that are the same count once', () => {
    expect(orderEvents([event('10'), event('10'), event('20')])).toMatchObject({ events: { length: 2 } });
  });

  test('that differ are kept both', () => {
    const { events } = orderEvents([event('10'), event('10', Op.row, { row: 'other' })]);
    expect(events).toMatchObject([{ row: 'row 10', rival: { row: 'other' } }]);
  });
});

describe('the row of partial images', () => {
  const image = (seq: string, members: string, isPartial = true) => event(seq, Op.row, { members, isPartial });

  test('is merged column by column, from the last whole image on', () => {
    const history = orderEvents([
      image('05', '"id":1,"a":"older"', false),
      image('10', '"id":1,"a":"x","b":"y","n":1.50', false),
      image('20', '"id":1,"b":"z"'),
      image('30', '"id":1,"a":null'),
    ]);
    expect(eventsOf(history, [], { event: 3 })).toEqual([1, 2, 3]);
    expect([...(rowOfState(history, [], { event: 3 })?.columns ?? [])]).toEqual([
      ['id', '1'],
      ['a', 'null'],
      ['b', '"z"'],
      ['n', '1.50'],
    ]);
  });

  test('takes nothing from before a deletion or a TRUNCATE', () => {
    const first = image('10', '"id":1,"a":1', false);
    const last = image('30', '"id":1,"b":2');
    expect(eventsOf(orderEvents([first, event('20', Op.gone), last]), [], { event: 2 })).toEqual([2]);
    expect(eventsOf(orderEvents([first, last]), ['20'], { event: 1 })).toEqual([1]);
    expect(eventsOf(orderEvents([first, last]), ['40'], { event: 1 })).toEqual([0, 1]);
  });

  test('is not known without the members of each', () => {
    const history = orderEvents([event('10'), image('20', '"id":1')]);
    expect(rowOfState(history, [], { event: 1 })).toBeUndefined();
  });
});
