import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LostAnswer } from '../tcp-proxy.ts';
import { checkCheckpoint, type SeenCheckpoint } from './checkpoint-checker.ts';
import { DeliveryChecker } from './delivery-checker.ts';
import { type Change, ExpectedChanges } from './expected-changes.ts';
import { contains, difference, formatGtids, gtidsOf, parseGtids } from './gtid-intervals.ts';
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

/** An event as the daemon writes it. */
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
let intents: ExpectedChanges;
let check: DeliveryChecker;
let calls: number;
const report = (violation: Violation): void => {
  violations.push(violation);
};
const broken = (): string[] => violations.map(({ promise }) => promise);

beforeEach(() => {
  violations = [];
  intents = new ExpectedChanges();
  check = new DeliveryChecker(intents, report);
  calls = 0;
});

/** A committed transaction. */
const commit = (n: number, ...changes: Change[]) => intents.committed(intents.plan(gtid(n), changes));
/** The sink takes a record, a second after the last one. */
const arrives = (data: Buffer, given: Partial<Delivered> = {}): void =>
  check.record(data, { call: ++calls, at: calls * 1_000, stored: true, accepted: true, slow: false, ...given });
const explain = (lost: LostAnswer[] = []): void => check.repeats.explain(Number.POSITIVE_INFINITY, lost);

describe('the check of what was delivered', () => {
  test('is content with every change once, in order', () => {
    commit(1, change(1, 1), change(2, 1));
    commit(2, change(1, 2, 'd'));
    arrives(Buffer.concat([line(1, 1, 1), line(1, 2, 1, { seq: 2 })]));
    arrives(line(2, 1, 2, { op: 'd', seq: 3 }));
    check.checkNothingLost();
    expect(violations).toEqual([]);
    expect(intents.outstanding).toBe(0);
    expect([...check.fold.rows('accounts').keys()]).toEqual(['{"id":2}']);
  });

  test('noLoss: finds a change that no sink accepted', () => {
    commit(1, change(1, 1), change(2, 1));
    arrives(line(1, 1, 1));
    arrives(line(1, 2, 1, { seq: 2 }), { accepted: false });
    check.checkNothingLost();
    expect(broken()).toEqual(['noLoss']);
    expect(violations[0]?.evidence.lost).toEqual([change(2, 1)]);
  });

  test('keyOrder: finds a change that comes behind a later one of its key', () => {
    commit(1, change(1, 1));
    commit(2, change(1, 2, 'u'));
    arrives(line(2, 1, 2, { op: 'u' }));
    arrives(line(1, 1, 1));
    expect(broken()).toEqual(['keyOrder']);
  });

  test('keyOrder: does not mind that a record which was not stored comes later', () => {
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

  test('noPhantom: finds a change that bears the mark of a rollback', () => {
    commit(1, change(1, 1));
    arrives(line(1, 1, 1, { ph: 1 }));
    expect(broken()).toEqual(['noPhantom']);
  });

  test('noPhantom: finds an event of a change that nobody made, and of one that the server did not commit', () => {
    arrives(line(1, 1, 1));
    const tx = intents.plan(gtid(2), [change(2, 1)]);
    arrives(line(2, 2, 1));
    expect(intents.absent(tx)).toHaveLength(1);
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
    check.repeats.generation({ at: 0, from: '' });
    arrives(line(1, 1, 1));
    arrives(line(1, 1, 1));
    explain();
    expect(broken()).toEqual(['boundedRepeats']);
  });

  test.each([
    ['a failed answer', { accepted: false }, [], undefined],
    ['a connection that was cut', {}, [{ from: 900, to: 1_100 }], undefined],
    ['a restart from a checkpoint without it', {}, [], { at: 1_500, from: `${SOURCE}:2-9` }],
  ] as const)('boundedRepeats: takes %s for a reason', (_, first, lost, generation) => {
    commit(1, change(1, 1));
    check.repeats.generation({ at: 0, from: '' });
    arrives(line(1, 1, 1), first);
    if (generation) check.repeats.generation(generation);
    arrives(line(1, 1, 1));
    explain([...lost]);
    expect(violations).toEqual([]);
    expect(check.counts.repeats).toBe(1);
  });

  test('boundedRepeats: does not take a restart for a reason when the checkpoint holds the transaction', () => {
    commit(1, change(1, 1));
    check.repeats.generation({ at: 0, from: '' });
    arrives(line(1, 1, 1));
    check.repeats.generation({ at: 1_500, from: `${SOURCE}:1` });
    arrives(line(1, 1, 1));
    explain();
    expect(broken()).toEqual(['boundedRepeats']);
  });

  test('counts a dead letter as settled', () => {
    commit(1, change(1, 1));
    check.deadLetter(line(1, 1, 1).toString());
    check.checkNothingLost();
    expect(violations).toEqual([]);
    expect(check.fold.rows('accounts').size).toBe(1);
  });

  test('finds the row of the highest seq, whatever came last', () => {
    commit(1, change(1, 1));
    commit(2, change(1, 2, 'u'));
    arrives(line(1, 1, 1, { note: 'old' }), { accepted: false });
    arrives(line(2, 1, 2, { op: 'u', note: 'new' }));
    arrives(line(1, 1, 1, { note: 'old' }));
    expect(check.fold.rows('accounts').get('{"id":1}')?.row).toContain('new');
  });
});

function checkpoint(gtids: string): string {
  const content = { version: 1, gtids, file: 'binlog.000002', position: 4 };
  const checksum = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
  return JSON.stringify({ ...content, checksum }, null, 2);
}

describe('the check of the checkpoint', () => {
  const look = (text: string, before?: SeenCheckpoint) =>
    checkCheckpoint(text, before, intents, (source) => source === SOURCE, report);

  test('is content when every transaction in it was accepted', () => {
    commit(1, change(1, 1));
    commit(2);
    arrives(line(1, 1, 1));
    const seen = look(checkpoint(`${SOURCE}:1-2,00000000-0000-0000-0000-000000000000:1-9`));
    expect(violations).toEqual([]);
    expect(seen?.position).toBe(4);
  });

  test('checkpointNotAhead: finds a file that is not whole, or was changed', () => {
    look('{"version":1');
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

  test('checkpointNotAhead: finds a transaction that nobody committed', () => {
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
});

test('GTID sets are read, compared and written with their holes', () => {
  const set = parseGtids(`a:1-5:8,\nb:3`);
  expect(contains(set, 'a:8')).toBe(true);
  expect(contains(set, 'a:6')).toBe(false);
  expect(formatGtids(difference(set, parseGtids('a:2-3')))).toBe('a:1:4-5:8,b:3');
  expect([...gtidsOf(parseGtids('a:1-2:4'))]).toEqual(['a:1', 'a:2', 'a:4']);
  expect(difference(set, set).size).toBe(0);
});
