import { describe, expect, test } from 'vitest';
import { type EventFormatName, EventScanner, Op } from '../../../src/lake/event-scanner.ts';

const SEQ = '6b02e25e0000000200000006970000000020';
const SOURCE = '"source":{"connector":"mysql","name":"shop","db":"sh\\"op","table":"orders","server_id":1}';

function scanned(format: EventFormatName, line: string, prefix = '_') {
  const scanner = new EventScanner(format, prefix);
  const around = Buffer.from(`{"x":1}\n${line}\n{"y":2}\n`);
  const from = 8;
  const to = from + Buffer.byteLength(line);
  const why = scanner.scan(around, from, to);
  const text = (start: number, end: number): string => around.toString('utf8', start, end);
  return {
    ...{ why, op: scanner.op, partial: scanner.partial },
    seq: text(scanner.seqFrom, scanner.seqFrom + 36),
    schema: text(scanner.schemaFrom, scanner.schemaTo),
    table: text(scanner.tableFrom, scanner.tableTo),
    key: text(scanner.keyFrom, scanner.keyTo),
    row: text(scanner.rowFrom, scanner.rowTo),
  };
}

describe('the scanner finds the parts of an event', () => {
  test.each<[string, EventFormatName, string, object]>([
    [
      'debezium, an update',
      'debezium',
      `{"op":"u","before":{"id":1},"after":{"id":1,"v":"a}\\"b"},"key":{"id":1},"seq":"${SEQ}",${SOURCE},"ts_ms":1}`,
      {
        op: Op.row,
        partial: false,
        schema: '"sh\\"op"',
        table: '"orders"',
        key: '{"id":1}',
        row: '"id":1,"v":"a}\\"b"',
      },
    ],
    [
      'debezium, a partial image',
      'debezium',
      `{"op":"u","before":null,"after":{"id":1},"partial":true,"key":{"id":1},"seq":"${SEQ}",${SOURCE},"ts_ms":1}`,
      { op: Op.row, partial: true, row: '"id":1' },
    ],
    [
      'debezium, a delete',
      'debezium',
      `{"op":"d","before":{"id":1},"after":null,"key":{"id":1},"seq":"${SEQ}",${SOURCE},"ts_ms":1}`,
      { op: Op.gone, key: '{"id":1}', row: '' },
    ],
    [
      'debezium, a TRUNCATE',
      'debezium',
      `{"op":"t","before":null,"after":null,"key":null,"seq":"${SEQ}",${SOURCE},"ts_ms":1}`,
      { op: Op.emptied, key: '' },
    ],
    [
      'flat, an insert',
      'flat',
      `{"id":1,"_o":[1,{"_op":"d"}],"_op":"c","_seq":"${SEQ}","_deleted":false,"_ts_ms":1,"_db":"shop","_table":"orders"}`,
      { op: Op.row, schema: '"shop"', table: '"orders"', row: '"id":1,"_o":[1,{"_op":"d"}]' },
    ],
    [
      'flat, a delete',
      'flat',
      `{"id":1,"_op":"d","_seq":"${SEQ}","_deleted":true,"_ts_ms":1,"_db":"shop","_table":"orders"}`,
      { op: Op.gone, row: '"id":1' },
    ],
    [
      'maxwell, an insert',
      'maxwell',
      `{"database":"shop","table":"orders","type":"insert","ts":1,"seq":"${SEQ}","data":{"id":1,"n":null}}`,
      { op: Op.row, row: '"id":1,"n":null', key: '{"id":1,"n":null}' },
    ],
    [
      'maxwell, a snapshot row',
      'maxwell',
      `{"database":"shop","table":"orders","type":"bootstrap-insert","ts":1,"seq":"${SEQ}","data":{"id":1}}`,
      { op: Op.row },
    ],
  ])('%s', (_, format, line, parts) => {
    expect(scanned(format, line)).toMatchObject({ why: undefined, seq: SEQ, ...parts });
  });

  test('with another prefix of format flat', () => {
    const line = `{"_op":"mine","__cdc_op":"c","__cdc_seq":"${SEQ}","__cdc_db":"a","__cdc_table":"b"}`;
    expect(scanned('flat', line, '__cdc_')).toMatchObject({ why: undefined, op: Op.row, row: '"_op":"mine"' });
  });
});

describe('the scanner says what is no event', () => {
  const event = `{"op":"c","before":null,"after":{"id":1},"key":{"id":1},"seq":"${SEQ}",${SOURCE},"ts_ms":1}`;

  test.each([
    ['an empty line', ''],
    ['text', 'hello'],
    ['an array', '[1]'],
    ['half an event', event.slice(0, -20)],
    ['two events in a line', event + event, 'something follows the JSON'],
    ['a lost comma', event.replace(',"key"', '"key"')],
    ['a bare word', event.replace('"ts_ms":1', '"ts_ms":nil')],
    ['a control character in a text', event.replace('shop', 'sh\u0001op')],
    ['an escape that is none', event.replace('shop', 'sh\\qop')],
    ['a number with a leading zero', event.replace('"ts_ms":1', '"ts_ms":01')],
    ['another object', '{"id":1}', 'it is no event of format debezium'],
    ['an op that there is not', event.replace('"op":"c"', '"op":"x"'), 'it is no event of format debezium'],
    ['another seq', event.replace(SEQ, SEQ.replace('6b', 'XX')), 'its seq is none of cdc'],
    ['an insert without its row', event.replace('"after":{"id":1}', '"after":null'), 'it has no row'],
  ])('%s', (_, line, why = 'it is not JSON') => {
    expect(scanned('debezium', line).why).toBe(why);
  });

  test('every cut of an event', () => {
    for (let i = 0; i < event.length; i++) expect(scanned('debezium', event.slice(0, i)).why, `${i}`).toBeDefined();
    expect(scanned('debezium', event).why).toBeUndefined();
  });

  test.each<[EventFormatName, string]>([
    ['flat', event],
    ['maxwell', event],
    ['debezium', `{"database":"s","table":"t","type":"insert","ts":1,"seq":"${SEQ}","data":{"id":1}}`],
  ])('an event of another format than %s', (format, line) => {
    expect(scanned(format, line).why).toBe(`it is no event of format ${format}`);
  });
});
