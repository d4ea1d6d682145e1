import { expect, test } from 'vitest';
import { ByteWriter } from '../../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../../src/codec/event-writer.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { RowsEvent, Transaction } from '../../../src/model/rows-event.ts';
import { ColumnType, type Table } from '../../../src/model/table.ts';

const { values } = configSchema.parse({ source: { url: 'mysql://u@localhost' }, firehose: { stream: 's' } });
const column = { type: ColumnType.LONG, meta: 0, nullable: true, unsigned: false, collation: 0, labels: [] };
const table: Table = { schema: 's', name: 't', columns: [{ ...column, name: 'a' }], key: [] };
const transaction: Transaction = {
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

function lines(bitmap: number, images: number[], columns: Table['columns'] = table.columns): string[] {
  const bytes = Buffer.of(bitmap, ...images);
  const rows: RowsEvent = {
    ...{ op: 'c', bytes, imagesStart: 1, end: bytes.length, beforeBitmap: 0, afterBitmap: 0, ordinalBase: 0 },
    ...{ position: 4, partialJson: false },
  };
  const format = { format: 'debezium', name: 'n', epoch: 1, flatPrefix: '_', values, charsets: new Map() } as const;
  const written: string[] = [];
  new EventWriter({ ...table, columns }, format, new ByteWriter()).write(rows, transaction, 0, (event) => {
    written.push(event.bytes.toString('utf8', event.from, event.to));
  });
  return written;
}

const after = (line: string): unknown => JSON.parse(line).after;

test('each row image of a rows event is an event', () => {
  expect(lines(0xff, [0, 1, 0, 0, 0, 0, 2, 0, 0, 0]).map(after)).toEqual([{ a: 1 }, { a: 2 }]);
});

test('a row image without columns has no bytes, and is an event', () => {
  expect(lines(0, []).map(after)).toEqual([{}]);
});

test('bytes after row images without columns are an error, and not rows without end', () => {
  expect(() => lines(0, [1])).toThrow('a rows event has bytes, but its images have no columns');
});

test('a rows event without the bytes of its columns is an error', () => {
  expect(() => lines(0xff, [])).toThrow();
  expect(() => lines(0xff, [0, 1])).toThrow();
});
