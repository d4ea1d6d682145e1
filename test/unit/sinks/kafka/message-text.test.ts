import { describe, expect, test } from 'vitest';
import { configSchema, type ValueOptions } from '../../../../src/config/schema.ts';
import { SEQ_LENGTH } from '../../../../src/model/seq.ts';
import { type Column, ColumnType, type Table } from '../../../../src/model/table.ts';
import { LineLayout } from '../../../../src/sinks/kafka/line-layout.ts';
import { type KafkaMessage, type MessageOptions, MessageWriter } from '../../../../src/sinks/kafka/message-text.ts';
import type { RecordEvent } from '../../../../src/sinks/sink.ts';

const VALUES = configSchema.shape.values.parse({}) as ValueOptions;
const SEQ = '6b02e25e00000002000000051c000000001f';
const SOURCE = '{"connector":"mysql","name":"shop","db":"shop","table":"orders","server_id":1,"gtid":null}';

const column = (name: string, type: number, more: Partial<Column> = {}): Column => ({
  ...{ name, type, meta: 0, nullable: true, unsigned: false, collation: 45, labels: [] },
  ...more,
});
const ORDERS: Table = {
  schema: 'shop',
  name: 'orders',
  columns: [column('id', ColumnType.LONG, { nullable: false }), column('seq', ColumnType.VARCHAR, { nullable: false })],
  key: [0],
};
const KEYLESS: Table = { ...ORDERS, key: [] };

const messagesOf = (
  options: Partial<MessageOptions>,
  event: { op: RecordEvent['op']; key?: string; table?: Table },
  line: string,
): KafkaMessage[] => {
  const { op, key = '', table = ORDERS } = event;
  const writer = new MessageWriter({
    ...{ topicPrefix: 'shop', format: 'debezium', schemas: false, tombstones: true, flatPrefix: '_', values: VALUES },
    ...options,
  });
  return writer.messagesOf({ op, key: Buffer.from(key), table }, Buffer.from(`${line}\n`));
};
const textOf = ({ value }: KafkaMessage): string | null => value && Buffer.concat(value).toString();
const headersOf = ({ headers }: KafkaMessage): string[] => headers.map(([name, value]) => `${name}=${value}`);
interface Schema {
  field: string;
  name: string;
  optional: boolean;
  fields: Schema[];
}
const schemaOf = (message: KafkaMessage | undefined): Schema =>
  JSON.parse(textOf(message as KafkaMessage) as string).schema;
const rowOf = (message: KafkaMessage | undefined): Record<string, boolean> => {
  const { fields } = schemaOf(message).fields.find(({ field }) => field === 'before') as Schema;
  return Object.fromEntries(fields.map(({ field, optional }) => [field, optional]));
};

const row = '{"id":1,"seq":"012345678901234567890123456789012345"}';
const debezium = (op: string, before: string, after: string, key: string, partial = ''): string =>
  `{"op":"${op}","before":${before},"after":${after},"key":${key}${partial},"seq":"${SEQ}","source":${SOURCE},"ts_ms":1}`;

describe('without schemas', () => {
  test('the key is that of the event, the value its line without the newline', () => {
    const line = debezium('c', 'null', row, '{"id":1}');
    const [message, ...others] = messagesOf({}, { op: 'c', key: '{"id":1}' }, line);
    expect(others).toEqual([]);
    expect(String(message?.key)).toBe('{"id":1}');
    expect(textOf(message as KafkaMessage)).toBe(line);
  });

  test('the value is the buffer of the line, not a copy', () => {
    const line = Buffer.from(`${debezium('c', 'null', row, '{"id":1}')}\n`);
    const options = {
      topicPrefix: 'shop',
      format: 'debezium',
      tombstones: true,
      flatPrefix: '_',
      values: VALUES,
    } as const;
    const [plain] = new MessageWriter({ ...options, schemas: false }).messagesOf(
      { op: 'c', key: Buffer.from('{"id":1}'), table: ORDERS },
      line,
    );
    const [enveloped] = new MessageWriter({ ...options, schemas: true }).messagesOf(
      { op: 'c', key: Buffer.from('{"id":1}'), table: ORDERS },
      line,
    );
    expect(plain?.value?.[0]?.buffer).toBe(line.buffer);
    expect(enveloped?.value?.[1]?.buffer).toBe(line.buffer);
  });

  test('a delete is followed by a tombstone of the same key', () => {
    const messages = messagesOf({}, { op: 'd', key: '{"id":1}' }, debezium('d', row, 'null', '{"id":1}'));
    expect(messages.map(({ key }) => String(key))).toEqual(['{"id":1}', '{"id":1}']);
    expect(messages[1]?.value).toBeNull();
    expect(messages.map(headersOf)).toEqual([[`cdc.seq=${SEQ}`], [`cdc.seq=${SEQ}`]]);
  });

  test('there is none with tombstones: false, without a key, or of a TRUNCATE', () => {
    const line = debezium('d', row, 'null', '{"id":1}');
    expect(messagesOf({ tombstones: false }, { op: 'd', key: '{"id":1}' }, line)).toHaveLength(1);
    const keyless = messagesOf({}, { op: 'd', table: KEYLESS }, debezium('d', row, 'null', 'null'));
    const truncate = messagesOf({}, { op: 't' }, debezium('t', 'null', 'null', 'null'));
    for (const messages of [keyless, truncate]) expect(messages.map(({ key }) => key)).toEqual([null]);
  });
});

test.each<[MessageOptions['format'], string]>([
  ['debezium', debezium('c', 'null', row, '{"id":1}')],
  ['flat', `{"id":1,"_seq":"no","_op":"c","_seq":"${SEQ}","_deleted":false,"_ts_ms":1,"_db":"shop","_table":"orders"}`],
  ['maxwell', `{"database":"shop","table":"orders","seq":"${SEQ}","data":${row},"old":${row},"commit":true}`],
])('the header has the seq of the event, not of a column named seq: %s', (format, line) => {
  const [message] = messagesOf({ format }, { op: 'c', key: '{"id":1}' }, line);
  expect(headersOf(message as KafkaMessage)).toEqual([`cdc.seq=${SEQ}`]);
});

test.each(['debezium', 'flat'] as const)('a column named seq where the line before had its own: %s', (format) => {
  const layout = new LineLayout(format, '_');
  const member = format === 'flat' ? '"_seq":"' : '"seq":"';
  const lineOf = (before: string, rest: string): string =>
    format === 'flat'
      ? `{${before}"_op":"u",${member}${SEQ}","_deleted":false,"_table":"${rest}"}\n`
      : `{"op":"u","before":null,"after":{${before}"id":1},"key":{"id":1},${member}${SEQ}","source":{"connector":"${rest}"}}\n`;
  const second = lineOf('"seq":"012345678901234567890123456789012345",', 'mysql');
  const column = second.length - second.indexOf('"seq":"');
  const own = second.length - second.lastIndexOf(member);
  const first = lineOf('', `mysql${'x'.repeat(column - own)}`);
  for (const line of [first, second, second, first]) {
    const at = layout.seqAt(Buffer.from(line));
    expect(line.slice(at, at + SEQ_LENGTH)).toBe(SEQ);
  }
});

describe('with schemas', () => {
  const debeziumOf = (op: RecordEvent['op'], partial?: string, table: Table = ORDERS) =>
    messagesOf(
      { schemas: true },
      { op, key: table.key.length === 0 ? '' : '{"id":1}', table },
      debezium(op, row, 'null', table.key.length === 0 ? 'null' : '{"id":1}', partial),
    )[0];

  test('the key has its schema', () => {
    expect(JSON.parse(String(debeziumOf('u')?.key))).toEqual({
      schema: {
        type: 'struct',
        fields: [{ type: 'int32', optional: false, field: 'id' }],
        optional: false,
        name: 'shop.shop.orders.Key',
      },
      payload: { id: 1 },
    });
  });

  test('the value has that of the envelope', () => {
    const { name, optional, fields } = schemaOf(debeziumOf('u'));
    expect({ name, optional }).toEqual({ name: 'shop.shop.orders.Envelope', optional: false });
    expect(fields.map(({ field }) => field)).toEqual('before after source op ts_ms key seq partial'.split(' '));
    expect(rowOf(debeziumOf('u'))).toEqual({ id: false, seq: false });
  });

  test('a partial row needs its key only', () => {
    expect(rowOf(debeziumOf('u', ',"partial":true'))).toEqual({ id: false, seq: true });
  });

  test('a table without a key has no schema of one', () => {
    const message = debeziumOf('u', '', KEYLESS);
    expect(message?.key).toBeNull();
    expect(schemaOf(message).fields.map(({ field }) => field)).not.toContain('key');
    expect(rowOf(debeziumOf('u', ',"partial":true', KEYLESS))).toEqual({ id: true, seq: true });
  });

  test.each<[RecordEvent['op'], string, Record<string, boolean>]>([
    ['u', '"_deleted":false,', { id: false, seq: false }],
    ['u', '"_deleted":false,"_partial":true,', { id: false, seq: true }],
    ['d', '"_deleted":true,"_partial":true,', { id: false, seq: true }],
    ['t', '"_deleted":false,', { id: true, seq: true }],
  ])('format flat has the columns and the metadata: %s %s', (op, middle, columns) => {
    const line = `{"id":1,"_op":"${op}","_seq":"${SEQ}",${middle}"_ts_ms":1,"_db":"shop","_table":"orders"}`;
    const [message] = messagesOf({ schemas: true, format: 'flat' }, { op, key: '{"id":1}' }, line);
    const { name, fields } = schemaOf(message);
    expect(name).toBe('shop.shop.orders.Value');
    expect(Object.fromEntries(fields.map(({ field, optional }) => [field, optional]))).toEqual({
      ...columns,
      ...{ _op: false, _seq: false, _deleted: false, _ts_ms: false, _db: false, _table: false, _partial: true },
    });
  });

  test('a dropped column, and one that the server hides, are in no schema; a hashed one is a string', () => {
    const table: Table = { ...ORDERS, columns: [...ORDERS.columns, column('', ColumnType.LONGLONG)] };
    const columnRule: MessageOptions['columnRule'] = (_schema, _table, name) =>
      name === 'seq' ? { kind: 'drop' } : { kind: 'hash', secret: 's' };
    const [message] = messagesOf(
      { schemas: true, columnRule },
      { op: 'u', key: '{"id":"aa"}', table },
      debezium('u', 'null', '{"id":"aa"}', '{"id":"aa"}'),
    );
    const { fields } = schemaOf(message).fields[0] as Schema;
    expect(fields).toEqual([{ type: 'string', optional: false, field: 'id' }]);
    expect(JSON.parse(String(message?.key)).schema.fields).toEqual(fields);
  });

  test('are refused where Connect would read another value', () => {
    expect(() => messagesOf({ schemas: true, format: 'maxwell' }, { op: 'c' }, '')).toThrow('format cannot be used');
    const values: ValueOptions = { ...VALUES, json: 'nested' };
    expect(() => messagesOf({ schemas: true, values }, { op: 'c' }, '')).toThrow('values.json cannot be used');
  });
});
