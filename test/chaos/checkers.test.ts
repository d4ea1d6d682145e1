import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LostAnswer } from '../tcp-proxy.ts';
import { checkCheckpoint, type SeenCheckpoint } from './checkpoint-checker.ts';
import { DeliveryChecker } from './delivery-checker.ts';
import type { StoredEvent } from './event-log.ts';
import { type Change, ExpectedChanges } from './expected-changes.ts';
import { contains, difference, formatGtids, gtidsOf, parseGtids } from './gtid-intervals.ts';
import { LogChecker } from './log-checker.ts';
import type { Delivered } from './repeat-checker.ts';
import type { Violation } from './violation.ts';

const SOURCE = 'c0000000-0000-4000-8000-000000000001';
const gtid = (n: number): string => `${SOURCE}:${n}`;
const change = (id: number, version: number, op: Change['op'] = 'c'): Change => ({
  table: 'accounts',
  key: `{"id":${id}}`,
  version,
  op,
});

/** An event in the format of the daemon. */
function line(n: number, id: number, version: number, { op = 'c', seq = n, ph = 0, note = '', ts = 1 } = {}): Buffer {
  const row = `{"id":${id},"ver":${op === 'd' ? version - 1 : version},"ph":${ph},"note":"${note}"}`;
  const before = op === 'c' ? 'null' : row;
  const after = op === 'd' ? 'null' : row;
  return Buffer.from(
    `{"op":"${op}","before":${before},"after":${after},"key":{"id":${id}},"seq":"${String(seq).padStart(8, '0')}",` +
      `"source":{"db":"chaos","table":"accounts","gtid":"${gtid(n)}"},"ts_ms":${ts}}\n`,
  );
}

let violations: Violation[];
let expectedChanges: ExpectedChanges;
let checker: DeliveryChecker;
let calls: number;
const report = (violation: Violation): void => {
  violations.push(violation);
};
const broken = (): string[] => violations.map(({ promise }) => promise);

beforeEach(() => {
  violations = [];
  expectedChanges = new ExpectedChanges();
  checker = new DeliveryChecker(expectedChanges, report);
  calls = 0;
});

/** Enters a committed transaction. */
const commit = (n: number, ...changes: Change[]) => expectedChanges.committed(expectedChanges.plan(gtid(n), changes));
/** The sink answers a record, one second after the previous one. */
const arrives = (data: Buffer, given: Partial<Delivered> = {}): void =>
  checker.record(data, { call: ++calls, at: calls * 1_000, stored: true, accepted: true, slow: false, ...given });
const explain = (lost: LostAnswer[] = []): void => checker.repeats.explain(Number.POSITIVE_INFINITY, lost);

describe('the delivery checker', () => {
  test('accepts every change once, in order', () => {
    commit(1, change(1, 1), change(2, 1));
    commit(2, change(1, 2, 'd'));
    arrives(Buffer.concat([line(1, 1, 1), line(1, 2, 1, { seq: 2 })]));
    arrives(line(2, 1, 2, { op: 'd', seq: 3 }));
    checker.checkNothingLost();
    expect(violations).toEqual([]);
    expect(expectedChanges.outstanding).toBe(0);
    expect([...checker.fold.rows('accounts').keys()]).toEqual(['{"id":2}']);
  });

  test('noLoss: finds a change that no sink accepted', () => {
    commit(1, change(1, 1), change(2, 1));
    arrives(line(1, 1, 1));
    arrives(line(1, 2, 1, { seq: 2 }), { accepted: false });
    checker.checkNothingLost();
    expect(broken()).toEqual(['noLoss']);
    expect(violations[0]?.evidence.lost).toEqual([change(2, 1)]);
  });

  test('keyOrder: finds a change that arrives after a later one of its key', () => {
    commit(1, change(1, 1));
    commit(2, change(1, 2, 'u'));
    arrives(line(2, 1, 2, { op: 'u' }));
    arrives(line(1, 1, 1));
    expect(broken()).toEqual(['keyOrder']);
  });

  test('keyOrder: accepts a record that was not stored and arrives again later', () => {
    commit(1, change(1, 1));
    arrives(line(1, 1, 1), { stored: false, accepted: false });
    arrives(line(1, 1, 1));
    explain();
    expect(violations).toEqual([]);
  });

  test('keyOrder: finds a later change with a lower seq', () => {
    commit(1, change(1, 1));
    commit(2, change(1, 2, 'u'));
    arrives(line(1, 1, 1, { seq: 9 }));
    arrives(line(2, 1, 2, { op: 'u', seq: 8 }));
    expect(broken()).toEqual(['keyOrder']);
  });

  test('noPhantom: finds a change with the mark of a rollback', () => {
    commit(1, change(1, 1));
    arrives(line(1, 1, 1, { ph: 1 }));
    expect(broken()).toEqual(['noPhantom']);
  });

  test('noPhantom: finds an event without a change, and an event of a change that the server did not commit', () => {
    arrives(line(1, 1, 1));
    const tx = expectedChanges.plan(gtid(2), [change(2, 1)]);
    arrives(line(2, 2, 1));
    expect(expectedChanges.absent(tx)).toHaveLength(1);
    arrives(line(2, 2, 1));
    expect(broken()).toEqual(['noPhantom', 'noPhantom']);
  });

  test('sameRedelivery: finds a repeat with other bytes or another seq, and allows another ts_ms', () => {
    commit(1, change(1, 1));
    arrives(line(1, 1, 1, { ts: 1 }), { accepted: false });
    arrives(line(1, 1, 1, { ts: 2 }), { accepted: false });
    expect(broken()).toEqual([]);
    arrives(line(1, 1, 1, { note: 'x' }), { accepted: false });
    arrives(line(1, 1, 1, { seq: 7 }), { accepted: false });
    expect(broken()).toEqual(['sameRedelivery', 'sameRedelivery']);
  });

  test('boundedRepeats: finds a repeat without a reason', () => {
    commit(1, change(1, 1));
    checker.repeats.generation({ at: 0, from: '' });
    arrives(line(1, 1, 1));
    arrives(line(1, 1, 1));
    explain();
    expect(broken()).toEqual(['boundedRepeats']);
  });

  test.each([
    ['a failed answer', { accepted: false }, [], undefined],
    ['a connection that was cut', {}, [{ from: 900, to: 1_100 }], undefined],
    ['a restart from a checkpoint without it', {}, [], { at: 1_500, from: `${SOURCE}:2-9` }],
  ] as const)('boundedRepeats: accepts %s as a reason', (_, first, lost, generation) => {
    commit(1, change(1, 1));
    checker.repeats.generation({ at: 0, from: '' });
    arrives(line(1, 1, 1), first);
    if (generation) checker.repeats.generation(generation);
    arrives(line(1, 1, 1));
    explain([...lost]);
    expect(violations).toEqual([]);
    expect(checker.counts.repeats).toBe(1);
  });

  test('boundedRepeats: does not accept a restart as a reason if the checkpoint contains the transaction', () => {
    commit(1, change(1, 1));
    checker.repeats.generation({ at: 0, from: '' });
    arrives(line(1, 1, 1));
    checker.repeats.generation({ at: 1_500, from: `${SOURCE}:1` });
    arrives(line(1, 1, 1));
    explain();
    expect(broken()).toEqual(['boundedRepeats']);
  });

  test('counts an event in the dead letters as settled', () => {
    commit(1, change(1, 1));
    checker.deadLetter(line(1, 1, 1).toString());
    checker.checkNothingLost();
    expect(violations).toEqual([]);
    expect(checker.fold.rows('accounts').size).toBe(1);
  });

  test('folds to the row of the highest seq, even if it did not arrive last', () => {
    commit(1, change(1, 1));
    commit(2, change(1, 2, 'u'));
    arrives(line(1, 1, 1, { note: 'old' }), { accepted: false });
    arrives(line(2, 1, 2, { op: 'u', note: 'new' }));
    arrives(line(1, 1, 1, { note: 'old' }));
    expect(checker.fold.rows('accounts').get('{"id":1}')?.row).toContain('new');
  });
});

describe('the log checker', () => {
  const parents: Record<string, string[]> = { 'shard 2': ['shard 1'], 'shard 3': ['shard 2'] };
  const open = (keyPerRow = true): LogChecker =>
    new LogChecker({ keyPerRow, parentsOf: (partition) => parents[partition] ?? [] }, report);
  let offset = 0;
  const event = (n: number, id: number, given: Partial<StoredEvent> = {}): StoredEvent => ({
    ...{ partition: 'shard 1', key: `accounts{"id":${id}}`, offset: String(++offset), at: 0 },
    ...{ line: line(n, id, n).toString().trimEnd(), ...given },
  });

  test('accepts the events of rows in order, with repeats, and through reshards', () => {
    const log = open();
    const second = event(2, 1);
    log.add([event(1, 1), event(1, 2, { partition: 'shard 9' }), second, event(1, 1), second]);
    log.add([event(3, 1, { partition: 'shard 2' }), event(4, 1, { partition: 'shard 3' })]);
    expect(violations).toEqual([]);
    log.checkEnd(7);
    expect(violations).toEqual([]);
    log.checkEnd(8);
    expect(broken()).toEqual(['noLoss']);
  });

  test('keyOrder: finds a row whose last event is a repeat of an older change, once all is stored', () => {
    const log = open();
    const first = event(1, 1);
    log.add([first, event(2, 1), first, event(3, 2)]);
    expect(violations).toEqual([]);
    log.checkEnd(undefined);
    expect(broken()).toEqual(['keyOrder']);
    expect(violations[0]).toMatchObject({ what: expect.stringContaining('ends with an older change') });
  });

  test('keyOrder: finds a change whose first delivery follows a later change of its row', () => {
    open().add([event(2, 1), event(3, 2), event(1, 1)]);
    expect(broken()).toEqual(['keyOrder']);
    expect(violations[0]?.what).toContain('the log has a change for the first time after a later one');
  });

  test('keyOrder: finds it after the events of the rounds before were forgotten', () => {
    const log = open();
    log.add([event(2, 1)]);
    log.prune({ isNew: false });
    log.add([event(1, 1)]);
    expect(broken()).toEqual(['keyOrder']);
  });

  test('keyOrder: takes a table without a key for one row', () => {
    const unkeyed = (n: number): StoredEvent =>
      event(n, n, {
        key: 'accounts',
        line: line(n, n, n)
          .toString()
          .trimEnd()
          .replace(/"key":\{"id":\d\}/, '"key":null'),
      });
    open().add([unkeyed(1), unkeyed(3), unkeyed(2)]);
    expect(broken()).toEqual(['keyOrder']);
  });

  test('samePartition: finds a row in two partitions, unless the second one was made from the first', () => {
    open().add([event(1, 1, { partition: 'shard 2' }), event(2, 1, { partition: 'shard 1' })]);
    expect(broken()).toEqual(['samePartition']);
  });

  test('samePartition: finds two keys of one row, and two rows of one key', () => {
    open().add([event(1, 1), event(2, 1, { key: 'other' })]);
    open().add([event(1, 1, { key: 'accounts' }), event(1, 2, { key: 'accounts' })]);
    expect(broken()).toEqual(['samePartition', 'samePartition']);
    open(false).add([event(1, 1, { key: 'lane-1' }), event(1, 2, { key: 'lane-1' })]);
    expect(broken()).toHaveLength(2);
  });
});

test('boundedRepeats: a repeat that the daemon has counted has a reason, as often as it was counted in its life', () => {
  commit(1, change(1, 1));
  const { repeats } = checker;
  repeats.counted(500, 9);
  repeats.generation({ at: 900, from: '' });
  arrives(line(1, 1, 1));
  repeats.counted(1_500, 1);
  arrives(line(1, 1, 1));
  explain();
  expect(violations).toEqual([]);
  expect(checker.counts).toMatchObject({ repeats: 1, counted: 1 });
  arrives(line(1, 1, 1));
  explain();
  expect(broken()).toEqual(['boundedRepeats']);
});

function checkpoint(gtids: string, ...marked: string[]): string {
  const incomplete = marked.map((table) => ({ schema: 'chaos', table, why: 'ALTER TABLE … DROP PARTITION' }));
  const content = { version: 2, gtids, file: 'binlog.000002', position: 4, incomplete };
  const checksum = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
  return JSON.stringify({ ...content, checksum }, null, 2);
}

describe('the checkpoint checker', () => {
  const look = (text: string, before?: SeenCheckpoint) =>
    checkCheckpoint(text, before, expectedChanges, (source) => source === SOURCE, report);

  test('accepts a checkpoint whose transactions were all accepted', () => {
    commit(1, change(1, 1));
    commit(2);
    arrives(line(1, 1, 1));
    const seen = look(checkpoint(`${SOURCE}:1-2,00000000-0000-0000-0000-000000000000:1-9`));
    expect(violations).toEqual([]);
    expect(seen?.position).toBe(4);
  });

  test('checkpointNotAhead: finds a truncated file and a changed file', () => {
    look('{"version":2');
    look(checkpoint('').replace('000002', '000003'));
    expect(broken()).toEqual(['checkpointNotAhead', 'checkpointNotAhead']);
  });

  test('checkpointNotAhead: finds a transaction that was stored but never answered', () => {
    commit(1, change(1, 1), change(2, 1));
    arrives(line(1, 1, 1));
    arrives(line(1, 2, 1, { seq: 2 }), { accepted: false });
    look(checkpoint(gtid(1)));
    expect(broken()).toEqual(['checkpointNotAhead']);
    expect(violations[0]?.evidence).toMatchObject({ gtid: gtid(1), unacknowledged: 1 });
  });

  test('checkpointNotAhead: finds a transaction that was never committed', () => {
    look(checkpoint(gtid(7)));
    expect(broken()).toEqual(['checkpointNotAhead']);
  });

  test('checkpointNotAhead: finds a checkpoint that went back', () => {
    commit(1);
    commit(2);
    const seen = look(checkpoint(`${SOURCE}:1-2`));
    look(checkpoint(`${SOURCE}:1`), seen);
    expect(broken()).toEqual(['checkpointNotAhead']);
  });

  const statement = (n: number, effect: 'rewritten' | 'emptied', ...gone: { key: string; version: number }[]) => {
    const tx = expectedChanges.plan(gtid(n), []);
    expectedChanges.marks.plan(tx, { table: 'parts', effect, gone });
    return tx;
  };

  test('incompleteMarked: finds a mark that is missing, left behind, or without a reason', () => {
    expectedChanges.committed(statement(1, 'rewritten', { key: '{"id":1}', version: 3 }));
    expect(expectedChanges.marks.isGone('parts', '{"id":1}', 3)).toBe(true);
    expect(expectedChanges.marks.isGone('parts', '{"id":1}', 4)).toBe(false);
    look(checkpoint(gtid(1), 'parts'));
    expect(broken()).toEqual([]);
    look(checkpoint(gtid(1)));
    expect(violations.pop()?.what).toMatch(/is not marked/);
    expectedChanges.committed(statement(2, 'emptied'));
    look(checkpoint(`${SOURCE}:1-2`));
    expect(broken()).toEqual([]);
    look(checkpoint(`${SOURCE}:1-2`, 'parts'));
    expect(violations.pop()?.what).toMatch(/is still marked/);
    look(checkpoint(`${SOURCE}:1-2`, 'accounts'));
    expect(violations.pop()?.what).toMatch(/without a reason/);
    expect(expectedChanges.marks.isGone('parts', '{"id":1}', 3)).toBe(false);
  });

  test('incompleteMarked: accepts what the daemon has read beyond its checkpoint', () => {
    statement(1, 'rewritten');
    look(checkpoint('', 'parts'));
    look(checkpoint(''));
    const committed = statement(2, 'rewritten');
    expectedChanges.committed(committed);
    look(checkpoint(gtid(2), 'parts'));
    const emptied = statement(3, 'emptied');
    look(checkpoint(gtid(2)));
    look(checkpoint(gtid(2), 'parts'));
    expectedChanges.absent(emptied);
    expect(broken()).toEqual([]);
    look(checkpoint(gtid(2)));
    expect(broken()).toEqual(['incompleteMarked']);
  });
});

test('GTID sets are parsed, compared and formatted with their gaps', () => {
  const set = parseGtids(`a:1-5:8,\nb:3`);
  expect(contains(set, 'a:8')).toBe(true);
  expect(contains(set, 'a:6')).toBe(false);
  expect(formatGtids(difference(set, parseGtids('a:2-3')))).toBe('a:1:4-5:8,b:3');
  expect([...gtidsOf(parseGtids('a:1-2:4'))]).toEqual(['a:1', 'a:2', 'a:4']);
  expect(difference(set, set).size).toBe(0);
});
