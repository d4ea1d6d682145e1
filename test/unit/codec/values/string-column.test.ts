import { expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { bytesWriter } from '../../../../src/codec/values/string-column.ts';
import { configSchema } from '../../../../src/config/schema.ts';
import { BINARY_COLLATION, type Column, ColumnType } from '../../../../src/model/table.ts';

const { values } = configSchema.parse({ source: { url: 'mysql://u@localhost' }, firehose: { stream: 's' } });
/** More than one piece of text, and of bytes. */
const LENGTH = 17 * 1024 * 1024;

/** The JSON value of a LONGTEXT or LONGBLOB of these bytes. */
function written(bytes: Buffer, charset: string, binary: 'base64' | 'hex' = 'base64'): string {
  const collation = charset === 'binary' ? BINARY_COLLATION : 1;
  const column: Column = {
    name: 'c',
    type: ColumnType.BLOB,
    meta: 4,
    nullable: true,
    unsigned: false,
    collation,
    labels: [],
  };
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  const out = new ByteWriter();
  const source = Buffer.concat([length, bytes]);
  const write = bytesWriter(column, 4, { ...values, binary }, new Map([[1, charset]]));
  expect(write(source, 0, source.length, out)).toBe(source.length);
  return JSON.parse(out.bytes.toString('utf8', 0, out.at));
}

/** A character over the end of the first piece, whatever the number of bytes before. */
const repeated = (unit: Buffer, shift: Buffer): Buffer =>
  Buffer.concat([shift, Buffer.alloc(Math.floor(LENGTH / unit.length) * unit.length, unit)]);

test.each(['base64', 'hex'] as const)('bytes of several pieces are the same in %s', (encoding) => {
  for (const extra of [0, 1, 2]) {
    const bytes = Buffer.alloc(LENGTH + extra, 'abcdefg');
    expect(written(bytes, 'binary', encoding) === bytes.toString(encoding)).toBe(true);
  }
});

test.each<[charset: string, unit: Buffer, text: string, shifts: Buffer[]]>([
  ['utf16', Buffer.from([0xd8, 0x3d, 0xde, 0x00]), '😀', [Buffer.from([0, 0x61])]],
  ['utf16le', Buffer.from([0x3d, 0xd8, 0x00, 0xde]), '😀', [Buffer.from([0x61, 0])]],
  ['utf32', Buffer.from([0, 1, 0xf6, 0]), '😀', [Buffer.from([0, 0, 0, 0x61])]],
  ['gbk', Buffer.from([0xc4, 0xe3, 0x20]), '你 ', [Buffer.from('a'), Buffer.from('aa')]],
  ['sjis', Buffer.from([0x83, 0x5c, 0x20]), 'ソ ', [Buffer.from('a'), Buffer.from('aa')]],
])('text in %s of several pieces has no character cut', (charset, unit, text, shifts) => {
  for (const shift of [Buffer.alloc(0), ...shifts]) {
    const bytes = repeated(unit, shift);
    const value = written(bytes, charset);
    const units = Math.floor(LENGTH / unit.length);
    const before = value.length - units * text.length;
    expect(value.slice(before) === text.repeat(units)).toBe(true);
    expect(value.slice(0, before)).toMatch(/^a{0,2}$/);
  }
});

test('bytes that are no UTF-8 do not cut the characters around them', () => {
  const bytes = Buffer.concat([Buffer.from([0xff]), Buffer.alloc(LENGTH, '€')]);
  const whole = Math.floor(LENGTH / 3);
  const value = written(bytes, 'utf8mb4');
  expect(value.slice(0, 1 + whole) === `?${'€'.repeat(whole)}`).toBe(true);
});
