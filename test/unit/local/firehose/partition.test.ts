import { describe, expect, test } from 'vitest';
import { deaggregate, parsePartitionQuery, partitionOf } from '../../../../src/local/firehose/partition.ts';

const event = (document: unknown) => Buffer.from(`${JSON.stringify(document)}\n`);
const keys = (document: unknown, query: string) => {
  const partition = partitionOf(event(document), parsePartitionQuery(query));
  return 'keys' in partition ? Object.fromEntries(partition.keys) : partition.failure;
};

describe('dynamic partitioning', () => {
  test('a query is an object of paths with the spaces and quotes that JQ allows', () => {
    expect(keys({ source: { db: 'shop', table: 'orders' } }, '{db:.source.db, table:.source.table}')).toEqual({
      db: 'shop',
      table: 'orders',
    });
    expect(keys({ 'a b': [{ c: 7 }], d: false }, ' { "x" : ."a b"[0].c , y: .["d"], z: .["a b"][0]["c"] } ')).toEqual({
      x: '7',
      y: 'false',
      z: '7',
    });
  });

  test('a value can be a text, the same for every event', () => {
    expect(keys({ t: 'orders' }, '{database: "cdc \\"x\\"", table: .t}')).toEqual({
      database: 'cdc "x"',
      table: 'orders',
    });
  });

  test.each([
    '',
    '.source.db',
    '{db}',
    '{db: .a | length}',
    '{db: .a,}',
    '{db: .a} x',
    '{db: "\\(.a)"}',
    '{db: "a".b}',
    '{a: .}',
  ])('the query %j is rejected', (query) => {
    expect(() => parsePartitionQuery(query)).toThrow('reads only objects of paths');
  });

  test.each([
    ['missing', {}],
    ['null', { db: null }],
    ['empty', { db: '' }],
  ])('a value that is %s fails the event', (_what, document) => {
    expect(keys(document, '{db:.db}')).toBe('partitionKeys values must not be null or empty');
  });

  test('a path through a scalar or an inherited property finds nothing', () => {
    expect(keys({ db: 'shop' }, '{db:.db.length}')).toBe('partitionKeys values must not be null or empty');
    expect(keys({ db: {} }, '{db:.db.constructor}')).toBe('partitionKeys values must not be null or empty');
  });

  test('an event that is not JSON and a key that is not a scalar fail', () => {
    expect(partitionOf(Buffer.from('{"db":\n'), parsePartitionQuery('{db:.db}'))).toEqual({
      failure: 'Non JSON record provided',
    });
    expect(keys({ db: [1] }, '{db:.db}')).toMatch('must be strings');
  });

  test('de-aggregation returns lines with newlines, adds a missing newline and skips blank lines', () => {
    expect(deaggregate(Buffer.from('{"a":1}\n\n{"b":2}'))?.map(String)).toEqual(['{"a":1}\n', '{"b":2}\n']);
    expect(deaggregate(Buffer.from(''))).toEqual([]);
  });

  test('a record of 500 events is de-aggregated, and a record of 501 is not', () => {
    expect(deaggregate(Buffer.from('{}\n'.repeat(500)))).toHaveLength(500);
    expect(deaggregate(Buffer.from('{}\n'.repeat(501)))).toBeUndefined();
  });
});
