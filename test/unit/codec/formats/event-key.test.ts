import { expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../../../src/codec/event-writer.ts';
import type { RowOp, Transaction } from '../../../../src/model/rows-event.ts';
import { type Column, ColumnType } from '../../../../src/model/table.ts';
import { keyOf, lineOf } from '../../../encoded-event.ts';

const column = (name: string): Column => ({
  name,
  type: ColumnType.LONG,
  meta: 0,
  nullable: false,
  unsigned: false,
  collation: 0,
  labels: [],
});
const COLUMNS = ['a', 'b "quoted"', 'c'].map(column);
const VALUES = { bigint: 'number', decimal: 'string', json: 'string', binary: 'base64', temporal: 'iso' } as const;
const TRANSACTION: Transaction = {
  gtid: '',
  gtidSource: '',
  gtidNumber: 0,
  file: 'binlog.000001',
  fileNumber: 1,
  position: 4,
  endPosition: 0,
  serverId: 1,
  committedAt: 0,
  originalCommit: 0,
  fileCreated: 0,
  lastEvent: 0,
  lastEventDigest: 0,
  preparedTransaction: undefined,
};

/** A row image of three INTs. */
function image(values: number[]): Buffer {
  const bytes = Buffer.alloc(1 + 12);
  values.forEach((value, i) => void bytes.writeInt32LE(value, 1 + i * 4));
  return bytes;
}

/** The events of a rows event with these images and this row key, as line and key. */
function writtenEvents(format: 'debezium' | 'flat' | 'maxwell', key: number[], op: RowOp, ...images: number[][]) {
  const writer = new EventWriter(
    { schema: 'shop', name: 'orders', columns: COLUMNS, key },
    {
      format,
      name: 'shop',
      epoch: 0,
      flatPrefix: '_',
      charsets: new Map(),
      values: { ...VALUES, zero_dates: 'text', boolean: [] },
    },
    // So small that it has to grow while a key is writtenEvents.
    new ByteWriter(8),
  );
  const bytes = Buffer.concat([Buffer.of(0b111), ...images.map(image)]);
  const rows = { op, bytes, imagesStart: 1, end: bytes.length, beforeBitmap: 0, afterBitmap: 0, ordinalBase: 0 };
  const events: { line: string; key: string; keyHash: number }[] = [];
  writer.write({ ...rows, position: 4, partialJson: false }, TRANSACTION, 0, (event) => {
    events.push({ line: lineOf(event), key: keyOf(event), keyHash: event.keyHash });
  });
  return events;
}

const FORMATS = ['debezium', 'flat', 'maxwell'] as const;

test.each(FORMATS)('an event of format %s has its key, a JSON object of the key columns in key order', (format) => {
  const keys = (...change: Parameters<typeof writtenEvents> extends [unknown, ...infer Rest] ? Rest : never) =>
    writtenEvents(format, ...change).map(({ key }) => key);
  expect(keys([0], 'c', [1, 2, 3])).toEqual(['{"a":1}']);
  expect(keys([2, 1], 'd', [1, 2, 3])).toEqual(['{"c":3,"b \\"quoted\\"":2}']);
  expect(keys([0], 'u', [1, 2, 3], [1, 5, 6])).toEqual(['{"a":1}']);
  expect(keys([], 'c', [1, 2, 3])).toEqual(['']);
  expect(keys([0], 'c', [1, 2, 3], [4, 5, 6])).toEqual(['{"a":1}', '{"a":4}']);
});

test.each(FORMATS)('an update of the key in format %s is two events, each with its own key', (format) => {
  const events = writtenEvents(format, [0, 1], 'u', [1, 2, 3], [1, 7, 3]);
  expect(events.map(({ key }) => key)).toEqual(['{"a":1,"b \\"quoted\\"":2}', '{"a":1,"b \\"quoted\\"":7}']);
  expect(events[0]?.keyHash).not.toBe(events[1]?.keyHash);
  for (const { line } of events) expect(line.replace(/^[^{]*/, '')).toBe(line);
});

test('every format has the same key and the same hash', () => {
  const all = FORMATS.flatMap((format) => writtenEvents(format, [1], 'u', [1, 2, 3], [4, 2, 6]));
  expect(new Set(all.map(({ key, keyHash }) => `${key} ${keyHash}`)).size).toBe(1);
  // The key of format debezium is the one in its line.
  expect(JSON.stringify(JSON.parse(all[0]?.line ?? '').key)).toBe(all[0]?.key);
});
