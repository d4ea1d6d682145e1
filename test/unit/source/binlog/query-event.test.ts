import { expect, test } from 'vitest';
import { ByteCursor } from '../../../../src/source/binlog/byte-cursor.ts';
import { isBegin, readQueryEvent } from '../../../../src/source/binlog/query-event.ts';
import { query } from './events.ts';

const SQL_MODE = (mode: number): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes[0] = 1;
  bytes.writeBigUInt64LE(BigInt(mode), 1);
  return bytes;
};
const CHARSET = Buffer.of(4, 8, 0, 45, 0, 255, 0);
const schemas = (count: number, ...names: string[]): Buffer =>
  Buffer.concat([Buffer.of(12, count), ...names.map((name) => Buffer.from(`${name}\0`))]);
/** Every other variable of MySQL 9.7, as it writes them before those above. */
const OTHERS = Buffer.concat([
  Buffer.of(0, 0, 0, 0, 0),
  Buffer.from([6, 3, ...Buffer.from('std')]),
  Buffer.of(3, 1, 0, 1, 0),
  Buffer.from([5, 6, ...Buffer.from('SYSTEM')]),
  Buffer.of(7, 0, 0, 8, 45, 0),
  Buffer.of(9, 2, 0, 0, 0, 0, 0, 0, 0),
  Buffer.from([11, 4, ...Buffer.from('root'), 9, ...Buffer.from('localhost')]),
]);

function read(variables: Buffer, sql = 'TRUNCATE t') {
  const plain = query(sql, 'shop').body;
  const body = Buffer.concat([plain.subarray(0, 13), variables, plain.subarray(13)]);
  body.writeUInt16LE(variables.length, 11);
  const cursor = new ByteCursor(body, 0, body.length);
  const begins = isBegin(cursor);
  const event = readQueryEvent(cursor, false);
  return { ...event, begins, text: cursor.text(cursor.remaining) };
}

test('the session of a statement is read behind any other variables', () => {
  expect(read(Buffer.concat([OTHERS, SQL_MODE(0x4), CHARSET, schemas(2, 't', 'other')]))).toEqual({
    threadId: 0,
    errorCode: 0,
    schema: 'shop',
    modes: { ansiQuotes: true, noBackslashEscapes: false, nbspIsSpace: false, mariadb: false },
    collation: 8,
    updatedSchemas: ['t', 'other'],
    begins: false,
    text: 'TRUNCATE t',
  });
  expect(read(SQL_MODE(0x100000)).modes).toMatchObject({ ansiQuotes: false, noBackslashEscapes: true });
});

test('without variables nothing is known of the session', () => {
  expect(read(Buffer.alloc(0))).toMatchObject({ collation: undefined, updatedSchemas: undefined, text: 'TRUNCATE t' });
});

test('more than 16 schemas are not named, so they are not known', () => {
  expect(read(Buffer.concat([schemas(254), SQL_MODE(4)]))).toMatchObject({
    updatedSchemas: undefined,
    modes: { ansiQuotes: true },
  });
});

test('a variable of a later version ends the list: the text is still found', () => {
  expect(read(Buffer.concat([CHARSET, Buffer.of(99, 1, 2, 3)]))).toMatchObject({ collation: 8, text: 'TRUNCATE t' });
});

test('BEGIN is recognized behind variables, and nothing else is', () => {
  expect(read(OTHERS, 'BEGIN').begins).toBe(true);
  for (const sql of ['BEGINX', 'COMMI', 'begin', '']) expect(read(OTHERS, sql).begins, sql).toBe(false);
  expect(isBegin(new ByteCursor(Buffer.alloc(12), 0, 12))).toBe(false);
});

test.each([
  ['cut in the middle', Buffer.of(1, 4, 0)],
  ['with a schema that does not end', Buffer.of(12, 1, 0x61)],
  ['with a name longer than the variables', Buffer.of(6, 200, 0x61)],
])('variables %s are an error', (_, variables) => {
  expect(() => read(variables)).toThrow(/shorter than its fields/);
});
