import { describe, expect, test } from 'vitest';
import { EventType as E } from '../../../../src/source/binlog/event-type.ts';
import { type EventParts, event, gtid, insert, payload, query, Stream, tableMap, xaPrepare, xid } from './events.ts';

const BEGIN = query('BEGIN');
const rows = (...values: number[]): EventParts[] => [tableMap(9, 't'), insert(9, ...values)];
const size = (...events: EventParts[]): number => events.reduce((sum, { body }) => sum + 23 + body.length, 0);
const FORMAT_END = 4;

/** The calls of a stream that starts behind `before`, which is followed by `after`. */
function callsBehind(before: EventParts[], after: EventParts[]): string[] {
  const empty = new Stream();
  const start = empty.decoder.coordinates.position + size(...before);
  const stream = new Stream({ skipBefore: { file: 'binlog.000001', position: start } });
  expect(start).toBeGreaterThan(FORMAT_END);
  return stream.read(...before, ...after).handler.calls;
}

const AFTER = [gtid(2), BEGIN, ...rows(7), xid()];
const AS_USUAL = ['table t', 'c t 7 in :2', 'commit :2'];

describe('before the start', () => {
  test.each<[string, EventParts[]]>([
    ['rows', [BEGIN, ...rows(1, 2), xid()]],
    ['a table map that is cut off', [BEGIN, { type: E.TABLE_MAP, body: Buffer.of(9, 0, 0) }, xid()]],
    ['rows without a table map', [BEGIN, insert(5, 1), xid()]],
    ['a statement instead of rows', [BEGIN, query('UPDATE s.t SET a = 1'), xid()]],
    ['a statement by itself', [query('DELETE FROM t')]],
    ['a TRUNCATE', [query('TRUNCATE t')]],
    ['a savepoint that cannot be read', [BEGIN, query('SAVEPOINT "a b'), ...rows(1), query('ROLLBACK TO ""'), xid()]],
    ['an incident', [BEGIN, { type: E.INCIDENT, body: Buffer.of(1, 0) }, xid()]],
    ['LOAD DATA as a statement', [BEGIN, { type: E.EXECUTE_LOAD_QUERY, body: Buffer.of(1, 0) }, xid()]],
    ['an event of an unknown type', [BEGIN, { type: 99, body: Buffer.of(1) }, xid()]],
  ])('%s is passed over, and its transaction counts as done', (_, events) => {
    expect(callsBehind([gtid(1), ...events], AFTER)).toEqual(['commit :1', ...AS_USUAL]);
  });

  test('rows with a wrong checksum are passed over, and behind it they stop the stream', () => {
    const damaged = (stream: Stream): Stream => {
      stream.read(gtid(1), BEGIN, tableMap(9, 't'));
      const parts = { ...insert(9, 1), endPosition: stream.decoder.coordinates.position + size(insert(9, 1)) };
      const bytes = event(parts);
      bytes[bytes.length - 6] = (bytes[bytes.length - 6] as number) ^ 1;
      return stream.bytes(bytes);
    };
    const stream = damaged(new Stream({ skipBefore: { file: 'binlog.000001', position: 100_000 } }));
    expect(stream.read({ ...xid(), endPosition: 900 }).handler.calls).toEqual(['commit :1']);
    expect(() => damaged(new Stream())).toThrow('checksum');
  });

  test('a compressed transaction that cannot be decompressed is passed over, and counts as done', () => {
    const broken = payload(Buffer.from('no zstd frame'), 1000);
    expect(callsBehind([gtid(1), broken], AFTER)).toEqual(['rollback', 'commit :1', ...AS_USUAL]);
  });

  test('a transaction that was rolled back counts as done', () => {
    expect(callsBehind([gtid(1), BEGIN, ...rows(1), query('ROLLBACK')], AFTER)).toEqual([
      'rollback',
      'commit :1',
      ...AS_USUAL,
    ]);
  });

  test('the same table is read again behind the start', () => {
    const calls = callsBehind([gtid(1), BEGIN, ...rows(1), xid()], [...AFTER, gtid(3), BEGIN, ...rows(8), xid()]);
    expect(calls).toEqual(['commit :1', ...AS_USUAL, 'c t 8 in :3', 'commit :3']);
  });

  test('a table that a prepared XA transaction changes is asked for when it commits behind the start', () => {
    const prepare = [query("XA START X'61',X'',1"), ...rows(1), query("XA END X'61',X'',1"), xaPrepare('a')];
    const commit = query("XA COMMIT X'61',X'',1");
    expect(callsBehind([gtid(1), ...prepare], [gtid(2), commit])).toEqual([
      'prepared :1',
      'table t',
      'c t 1 in :2',
      'commit :2',
    ]);
    expect(callsBehind([gtid(1), ...prepare, gtid(2), commit], [])).toEqual(['prepared :1', 'commit :2']);
    // Its rows are in no binlog any more, and are not needed.
    expect(callsBehind([gtid(1), commit], [])).toEqual(['commit :1']);
  });

  test('a transaction that begins before the start and ends behind it is passed over', () => {
    const stream = new Stream();
    const start = stream.decoder.coordinates.position + size(gtid(1), BEGIN, ...rows(1));
    const straddling = new Stream({ skipBefore: { file: 'binlog.000001', position: start } });
    straddling.read(gtid(1), BEGIN, ...rows(1), ...rows(2), xid(), ...AFTER);
    expect(straddling.handler.calls).toEqual(['commit :1', ...AS_USUAL]);
  });
});
