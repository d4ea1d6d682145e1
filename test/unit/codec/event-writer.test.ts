import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../../src/codec/event-writer.ts';
import { parseEvent } from '../../../src/codec/formats/parse-event.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { EncodedEvent } from '../../../src/model/encoded-event.ts';
import type { RowsEvent, Transaction } from '../../../src/model/rows-event.ts';
import { formatSeq } from '../../../src/model/seq.ts';
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

describe('a row of a SELECT', () => {
  const at = { file: 'binlog.000012', fileNumber: 12, position: 0x1001, readAt: 1_700_000_000_123 };
  const keyed: Table = { ...table, key: [0] };
  const FORMATS = ['debezium', 'flat', 'maxwell'] as const;

  function snapshotLines(format: (typeof FORMATS)[number], packet: number[], ordinal = 0x2a): string[] {
    const options = { format, name: 'n', epoch: 1, flatPrefix: '_', values, charsets: new Map() };
    const writer = new EventWriter(keyed, options, new ByteWriter(), 'row-packet');
    const written: string[] = [];
    writer.beginSnapshot(at, 1_700_000_000_456);
    writer.writeSnapshotRow(Buffer.from(packet), 0, packet.length, ordinal, (event) => {
      expect(event.isPartial).toBe(false);
      written.push(event.bytes.toString('utf8', event.from, event.to));
    });
    writer.endSnapshot();
    return written;
  }

  const SEQ = '000000010000000c0000001000000000002a';
  test.each([
    [
      'debezium',
      `{"op":"r","before":null,"after":{"a":5},"key":{"a":5},"seq":"${SEQ}","source":{"connector":"mysql","name":"n","db":"s","table":"t","server_id":0,"gtid":null,"file":"binlog.000012","pos":4097,"row":0,"ts_ms":1700000000123,"snapshot":"true"},"ts_ms":1700000000456}\n`,
    ],
    ['flat', `{"a":5,"_op":"r","_seq":"${SEQ}","_deleted":false,"_ts_ms":1700000000123,"_db":"s","_table":"t"}\n`],
    [
      'maxwell',
      `{"database":"s","table":"t","type":"bootstrap-insert","ts":1700000000,"position":"binlog.000012:4097","seq":"${SEQ}","data":{"a":5}}\n`,
    ],
  ] as const)('is a whole line of op r in format %s', (format, line) => {
    expect(snapshotLines(format, [0, 0, 5, 0, 0, 0])).toEqual([line]);
    expect(parseEvent(Buffer.from(line), format, ['a'], '_')).toEqual({
      table: 's.t',
      key: '{"a":5}',
      seq: SEQ,
      op: 'r',
      position: format === 'flat' ? '*.000012:4096' : 'binlog.000012:4097',
      gtid: null,
    });
  });

  test('sorts after every event of the last transaction, before every later one, and by its ordinal', () => {
    const seqs = [1, 2].map((ordinal) => JSON.parse(snapshotLines('debezium', [0, 0, 5, 0, 0, 0], ordinal)[0]!).seq);
    const seqOf = (position: number) => formatSeq({ epoch: 1, file: 12, position, ordinal: 0xffff });
    const sorted = [seqOf(at.position - 19), ...seqs, seqOf(at.position)];
    expect(sorted.toSorted()).toEqual(sorted);
  });

  test('with other bytes than those of its columns is an error, and no event', () => {
    for (const format of FORMATS) {
      expect(() => snapshotLines(format, [0, 0, 5, 0, 0])).toThrow();
      expect(() => snapshotLines(format, [0, 0, 5, 0, 0, 0, 0])).toThrow('a row of s.t is not what its columns say');
      expect(() => snapshotLines(format, [0, 4, 5])).toThrow('a row of s.t is not what its columns say');
    }
  });
});

describe('the deletion of a key that a SELECT did not find', () => {
  const at = { file: 'binlog.000012', fileNumber: 12, position: 0x1001, readAt: 1_700_000_000_123 };
  const text = { ...column, type: ColumnType.VARCHAR, meta: 40, collation: 45, name: 'b c' };
  const pair: Table = { ...table, columns: [{ ...column, name: 'a' }, { ...column, name: 'x' }, text], key: [2, 0] };
  const charsets = new Map([[45, 'utf8mb4']]);
  const KEY = '{"b c":"q\\"}\\\\,{ é","a":5}';
  const SEQ = '000000010000000c0000001000000000002a';
  type Written = { line: string; key: string; hash: number; partial: boolean };

  function writerOf(format: 'debezium' | 'flat' | 'maxwell', source: Table = pair) {
    const options = { format, name: 'n', epoch: 1, flatPrefix: '_', values, charsets };
    const writer = new EventWriter(source, options, new ByteWriter(), 'row-packet');
    const written: Written[] = [];
    const emit = (event: EncodedEvent): void => {
      const line = event.bytes.toString('utf8', event.from, event.to);
      event.locateKey();
      const key = event.bytes.toString('utf8', event.keyFrom, event.keyTo);
      written.push({ line, key, hash: event.keyHash, partial: event.isPartial });
    };
    writer.beginSnapshot(at, 1_700_000_000_456);
    return { writer, emit, written };
  }

  test.each([
    [
      'debezium',
      `{"op":"d","before":${KEY},"after":null,"key":${KEY},"partial":true,"seq":"${SEQ}","source":{"connector":"mysql","name":"n","db":"s","table":"t","server_id":0,"gtid":null,"file":"binlog.000012","pos":4097,"row":0,"ts_ms":1700000000123,"snapshot":"true"},"ts_ms":1700000000456}\n`,
    ],
    [
      'flat',
      `${KEY.slice(0, -1)},"_op":"d","_seq":"${SEQ}","_deleted":true,"_partial":true,"_ts_ms":1700000000123,"_db":"s","_table":"t"}\n`,
    ],
    [
      'maxwell',
      `{"database":"s","table":"t","type":"delete","ts":1700000000,"position":"binlog.000012:4097","seq":"${SEQ}","partial":true,"data":${KEY}}\n`,
    ],
  ] as const)('has the key as it is, and the hash of its other events, in format %s', (format, line) => {
    const { writer, emit, written } = writerOf(format);
    // No NULL; a, x, then the text with its length.
    const value = Buffer.from('q"}\\,{ é');
    const packet = Buffer.concat([Buffer.of(0, 0, 5, 0, 0, 0, 7, 0, 0, 0, value.length), value]);
    writer.writeSnapshotRow(packet, 0, packet.length, 1, emit);
    writer.writeSnapshotDelete(Buffer.from(KEY), 0x2a, emit);
    writer.writeSnapshotRow(packet, 0, packet.length, 2, emit);
    const [row, deletion, next] = written as [Written, Written, Written];
    expect(deletion.line).toBe(line);
    expect([row.key, deletion.key, next.key]).toEqual([KEY, KEY, KEY]);
    expect([deletion.hash, next.hash]).toEqual([row.hash, row.hash]);
    expect([row.partial, deletion.partial, next.partial]).toEqual([false, true, false]);
    expect(next.line).not.toContain('partial');
    expect(parseEvent(Buffer.from(line), format, ['b c', 'a'], '_')).toMatchObject({ op: 'd', seq: SEQ, key: KEY });
  });

  test('of a text that is no key of the table is an error without the text, and no event', () => {
    const secret = 'jane';
    const others = [
      `{"b c":"${secret}"}`,
      `{"a":5,"b c":"${secret}"}`,
      `{"b c":"${secret}","a":5,"x":1}`,
      `{"b c":"${secret}","a":5} `,
      `{"b c":"${secret}","a":5`,
      `{ "b c":"${secret}","a":5}`,
      '{}',
      '',
    ];
    for (const format of ['debezium', 'flat', 'maxwell'] as const) {
      for (const key of others) {
        const { writer, emit, written } = writerOf(format);
        expect(() => writer.writeSnapshotDelete(Buffer.from(key), 1, emit), key).toThrow(
          /^a text is not the key of an event of s\.t$/,
        );
        expect(written).toEqual([]);
      }
      const { writer, emit } = writerOf(format, { ...pair, key: [] });
      expect(() => writer.writeSnapshotDelete(Buffer.from('{}'), 1, emit)).toThrow('is not the key');
    }
  });
});

test('an event says whether its row images lack columns', () => {
  const pair = [
    { ...column, name: 'a' },
    { ...column, name: 'b' },
  ];
  const options = { format: 'debezium', name: 'n', epoch: 1, flatPrefix: '_', values, charsets: new Map() } as const;
  const writer = new EventWriter({ ...table, columns: pair }, options, new ByteWriter());
  const partial: boolean[] = [];
  const write = (bytes: Buffer) => {
    const rows = { op: 'c' as const, bytes, imagesStart: 1, end: bytes.length, beforeBitmap: 0, afterBitmap: 0 };
    const emit = (event: EncodedEvent) => void partial.push(event.isPartial);
    writer.write({ ...rows, ordinalBase: 0, position: 4, partialJson: false }, transaction, 0, emit);
  };
  write(Buffer.of(0b01, 0, 1, 0, 0, 0));
  write(Buffer.of(0b11, 0b11));
  write(Buffer.of(0b10, 0b1));
  writer.writeTruncate(4, 0, transaction, 0, (event) => void partial.push(event.isPartial));
  expect(partial).toEqual([true, false, true, false]);
});
