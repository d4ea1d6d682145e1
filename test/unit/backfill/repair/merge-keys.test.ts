import { describe, expect, test } from 'vitest';
import type { TableOutput } from '../../../../src/backfill/merge/table-output.ts';
import { type KeyMergeTools, mergeKeys, ordinalsOf } from '../../../../src/backfill/repair/merge-keys.ts';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../../../src/codec/event-writer.ts';
import { configSchema } from '../../../../src/config/schema.ts';
import { TableWatches } from '../../../../src/model/chunk-window.ts';
import { ColumnType, type Table } from '../../../../src/model/table.ts';
import { encodedEvent } from '../../../encoded-event.ts';

const { values } = configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' } });
const column = { meta: 0, unsigned: false, collation: 0, labels: [], nullable: true, visible: true };
const table: Table = {
  schema: 's',
  name: 't',
  columns: [
    { ...column, name: 'k', type: ColumnType.VARCHAR, meta: 40, collation: 45 },
    { ...column, name: 'v', type: ColumnType.LONG },
  ] as Table['columns'],
  key: [0],
};

/** A row packet with its header: no NULL, the text with its length, an INT. */
function packet(k: string, v: number): Buffer {
  const text = Buffer.from(k);
  const body = Buffer.concat([Buffer.of(0, 0, text.length), text, Buffer.of(v, 0, 0, 0)]);
  return Buffer.concat([Buffer.of(body.length, 0, 0, 0), body]);
}

const keyOf = (k: string): string => JSON.stringify({ k });

function setUp(rows: [k: string, v: number][]) {
  const options = { format: 'debezium' as const, name: 'n', epoch: 1, flatPrefix: '_', values };
  const writer = new EventWriter(
    table,
    { ...options, charsets: new Map([[45, 'utf8mb4']]) },
    new ByteWriter(),
    'row-packet',
  );
  const appended: { op: string; key: { k: string }; seq: string }[] = [];
  let commits = 0;
  const ordinals = { next: 7 };
  const tools = {
    ordinals,
    merge: { coordinates: { file: 'binlog.000003', position: 500 } },
    delivery: {
      commitSnapshot: () => void commits++,
    },
  } as unknown as KeyMergeTools;
  const append: TableOutput['append'] = ({ bytes, from, to }, op) => {
    const event = JSON.parse(bytes.toString('utf8', from, to));
    expect(event.op).toBe(op);
    appended.push(event);
  };
  const packets = rows.map(([k, v]) => packet(k, v));
  let end = 0;
  const found = {
    count: rows.length,
    bytes: Buffer.concat(packets),
    ends: Uint32Array.from(packets.map(({ length }) => (end += length))),
    high: { coordinates: { file: 'binlog.000003', position: 400 } },
  };
  const watches = new TableWatches();
  const watch = watches.of('s', 't');
  const window = watch.open();
  const touch = (k: string, isPartial: boolean): void => {
    const event = encodedEvent('line\n', keyOf(k));
    watch.touch({ ...event, isPartial });
  };
  const merge = (...keys: string[]) => {
    const result = mergeKeys(tools, { writer, append }, keys.map(keyOf), { found, readAt: 1, window });
    return { ...result, events: appended.map(({ op, key }) => `${op} ${key.k}`) };
  };
  return { merge, touch, appended, found, ordinals, commits: () => commits };
}

describe('keys of a repair', () => {
  test('are a row each that was found, and a deletion where there is none', () => {
    const { merge, appended, ordinals, found, commits } = setUp([
      ['a', 1],
      ['b', 2],
    ]);
    expect(merge('a', 'b', 'c', 'é')).toEqual({
      ...{ sent: 2, deleted: 2, again: [] },
      events: ['r a', 'r b', 'd c', 'd é'],
    });
    const seqs = appended.map(({ seq }) => seq);
    expect(new Set(seqs).size).toBe(4);
    // Right before the point, where no event begins.
    for (const seq of seqs)
      expect(seq.slice(8, 26)).toBe(`${'3'.padStart(8, '0')}${(499).toString(16).padStart(10, '0')}`);
    expect(ordinals.next - 7).toBeLessThanOrEqual(ordinalsOf(['a', 'b', 'c', 'é'], found));
    expect(commits()).toBe(1);
  });

  test('are not the rows that the server takes for theirs: each key has the bytes of its own event', () => {
    const { merge } = setUp([['A', 1]]);
    expect(merge('a', 'ä')).toEqual({ sent: 0, deleted: 2, again: [], events: ['d a', 'd ä'] });
    expect(setUp([['A', 1]]).merge('a', 'A').events).toEqual(['r A', 'd a']);
  });

  test('are left out if the stream has them newer, whether they have a row or none', () => {
    const { merge, touch } = setUp([
      ['a', 1],
      ['b', 2],
    ]);
    touch('a', false);
    touch('c', false);
    expect(merge('a', 'b', 'c', 'd')).toEqual({ sent: 1, deleted: 1, again: [], events: ['r b', 'd d'] });
  });

  test('are read again if the stream has only parts of them', () => {
    const { merge, touch } = setUp([
      ['a', 1],
      ['b', 2],
    ]);
    touch('a', true);
    touch('c', true);
    touch('b', true);
    touch('b', false);
    touch('b', true);
    expect(merge('a', 'b', 'c')).toEqual({
      sent: 0,
      deleted: 0,
      again: [keyOf('a'), keyOf('b'), keyOf('c')],
      events: [],
    });
  });

  test('that two rows have are one key of the answer, and both rows are sent', () => {
    const { merge } = setUp([
      ['a', 1],
      ['a', 2],
    ]);
    expect(merge('a')).toEqual({ sent: 1, deleted: 0, again: [], events: ['r a', 'r a'] });
  });
});
