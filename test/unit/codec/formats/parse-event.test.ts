import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../../../src/codec/event-writer.ts';
import type { EventFormatOptions } from '../../../../src/codec/formats/event-format.ts';
import { parseEvent } from '../../../../src/codec/formats/parse-event.ts';
import type { EncodedEvent } from '../../../../src/model/encoded-event.ts';
import type { Transaction } from '../../../../src/model/rows-event.ts';
import { type Column, ColumnType } from '../../../../src/model/table.ts';

const HUGE = 18446744073709551615n;
/** Text that looks like the fields around it. */
const TRAP = '","seq":"00","key":{"id":1},"_seq":"00"}}\\';
const SEQ = '6b02e25e00000002000000051c000000001f';

const column = (name: string, more: Partial<Column>): Column => ({
  ...{ name, type: ColumnType.VARCHAR, meta: 1000, nullable: true, unsigned: false, collation: 45, labels: [] },
  ...more,
});
const columns = [
  column('part "1"', {}),
  column('id', { type: ColumnType.LONGLONG, meta: 0, unsigned: true, collation: 0 }),
  column('seq', {}),
];

function image(part: string, id: bigint, seq: string): Buffer {
  const text = (value: string): Buffer => {
    const length = Buffer.alloc(2);
    length.writeUInt16LE(Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value)]);
  };
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(id);
  return Buffer.concat([Buffer.from([0]), text(part), number, text(seq)]);
}

const transaction: Transaction = {
  ...{
    gtid: '33ba598e-e69a-11f1-82eb-02fc00000001:38',
    gtidSource: '',
    gtidNumber: 38,
    serverId: 1,
    committedAt: 1_700_000_000_000,
  },
  ...{ file: 'binlog.000002', fileNumber: 2, position: 1000, endPosition: 0, preparedTransaction: undefined },
  ...{ originalCommit: 0, fileCreated: 0, lastEvent: 0, lastEventDigest: 0 },
};

interface Row {
  format: EventFormatOptions['format'];
  op: 'c' | 'u' | 'd' | 't';
  key?: number[];
  gtid?: string;
  schema?: string;
}

/** Writes one line in a format, and parses it. */
function writeAndParse({ format, op, key = [1, 0], gtid = transaction.gtid, schema = 'shop' }: Row) {
  const table = { schema, name: 'orders', columns, key };
  const values = { bigint: 'number', decimal: 'string', json: 'string', binary: 'base64', temporal: 'iso' } as const;
  const writer = new EventWriter(
    table,
    {
      ...{ format, name: 'shop', epoch: 0x6b02e25e, flatPrefix: '_', charsets: new Map([[45, 'utf8mb4']]) },
      values: { ...values, zero_dates: 'text', boolean: [] },
    },
    new ByteWriter(),
  );
  const lines: string[] = [];
  const emit = ({ bytes, from, to }: EncodedEvent) => {
    lines.push(bytes.toString('utf8', from, to) + (format === 'maxwell' ? ',"commit":true}\n' : ''));
  };
  const transactionOfRow = { ...transaction, gtid };
  if (op === 't') writer.writeTruncate(0x51c, 0, transactionOfRow, 1, emit);
  else {
    const present = Buffer.from([0b111]);
    const before = op === 'c' ? Buffer.alloc(0) : image(TRAP, HUGE, 'before');
    const after = op === 'd' ? Buffer.alloc(0) : image(TRAP, HUGE, TRAP);
    const bytes = Buffer.concat([present, before, after]);
    const rows = { op, bytes, imagesStart: 1, end: bytes.length, beforeBitmap: 0, afterBitmap: 0 };
    writer.write({ ...rows, ordinalBase: 1 - 0x1f, position: 0x51c, partialJson: false }, transactionOfRow, 1, emit);
  }
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] as string)).toBeTypeOf('object');
  const names = key.map((index) => (columns[index] as Column).name);
  return parseEvent(Buffer.from(lines[0] as string), format, names, '_');
}

describe.each(['debezium', 'flat', 'maxwell'] as const)('a line of format %s', (format) => {
  const flat = format === 'flat';

  test.each(['c', 'u', 'd'] as const)(
    'of op %s parses to its table, key, seq and position, even if its values look like metadata',
    (op) => {
      expect(writeAndParse({ format, op })).toEqual({
        table: 'shop.orders',
        key: `{"id":18446744073709551615,"part \\"1\\"":${JSON.stringify(TRAP)}}`,
        seq: SEQ,
        op,
        position: flat ? '*.000002:1308' : 'binlog.000002:1308',
        gtid: flat ? null : transaction.gtid,
      });
    },
  );

  test('of a TRUNCATE has no key', () => {
    expect(writeAndParse({ format, op: 't' })).toMatchObject({
      op: 't',
      key: null,
      seq: `${SEQ.slice(0, 26)}0000000000`,
    });
  });

  test('of a table without a key has no key', () => {
    expect(writeAndParse({ format, op: 'u', key: [] })).toMatchObject({ key: null, table: 'shop.orders' });
  });

  test('has the table name in the form of a pattern', () => {
    expect(writeAndParse({ format, op: 'c', schema: 'my.sh`op' }).table).toBe('`my.sh``op`.orders');
  });

  test('of a transaction without a GTID has no GTID', () => {
    expect(writeAndParse({ format, op: 'c', gtid: '' }).gtid).toBeNull();
  });
});

test('format flat has the configured prefix', () => {
  const line = `{"id":7,"_seq":"mine","__op":"d","__seq":"${SEQ}","__deleted":true,"__ts_ms":1,"__db":"a","__table":"b"}\n`;
  expect(parseEvent(Buffer.from(line), 'flat', ['id'], '__')).toMatchObject({
    op: 'd',
    key: '{"id":7}',
    seq: SEQ,
    table: 'a.b',
  });
});

test('a key column that is not in the event is not in the key', () => {
  const line = `{"a":1,"_op":"c","_seq":"${SEQ}","_deleted":false,"_ts_ms":1,"_db":"s","_table":"t"}\n`;
  expect(parseEvent(Buffer.from(line), 'flat', ['a', 'b'], '_').key).toBe('{"a":1}');
});

test.each(['debezium', 'flat', 'maxwell'] as const)('a line that is not of format %s is an error', (format) => {
  for (const line of ['{}\n', '{"op":"c"}\n', '', 'x']) {
    expect(() => parseEvent(Buffer.from(line), format, [], '_')).toThrow();
  }
});
