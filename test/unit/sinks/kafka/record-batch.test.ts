import { describe, expect, test } from 'vitest';
import { RecordBatchBuilder, sequenceAfter, stampBatch } from '../../../../src/sinks/kafka/record-batch.ts';

const message = (key: string | null, value: string | null, headers: [string, string][] = []) => ({
  topic: 't',
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : [Buffer.from(value.slice(0, 1)), Buffer.from(value.slice(1))],
  headers: headers.map(([name, content]) => [name, Buffer.from(content)] as const),
});

describe('a record batch', () => {
  test('has the bytes that the protocol describes', () => {
    const builder = new RecordBatchBuilder(1_000);
    expect(builder.add(message('k', 'value', [['h', 'x']]))).toBe(true);
    expect(builder.add(message(null, null))).toBe(true);
    const batch = builder.build('none', 1_000);
    stampBatch(batch, { producerId: 7n, epoch: 2, sequence: 5 });
    const records =
      '20' +
      '0000' +
      '00' +
      '026b' +
      '0a76616c7565' +
      '02' +
      '0268' +
      '0278' +
      '0c' +
      '0000' +
      '02' +
      '01' +
      '01' +
      '00';
    expect(batch.toString('hex', 61)).toBe(records);
    expect(batch.length).toBe(builder.bytes);
    expect(batch.readInt32BE(8)).toBe(batch.length - 12);
    expect(batch[16]).toBe(2);
    expect([batch.readInt16BE(21), batch.readInt32BE(23), batch.readInt32BE(57)]).toEqual([0, 1, 2]);
    expect([batch.readBigInt64BE(43), batch.readInt16BE(51), batch.readInt32BE(53)]).toEqual([7n, 2, 5]);
  });

  test('the same identity gives the same bytes, another one another checksum', () => {
    const builder = new RecordBatchBuilder(1_000);
    builder.add(message('k', 'value'));
    const batch = builder.build('none', 1_000);
    stampBatch(batch, { producerId: 7n, epoch: 0, sequence: 0 });
    const first = Buffer.from(batch);
    stampBatch(batch, { producerId: 7n, epoch: 1, sequence: 0 });
    expect(batch.readUInt32BE(17)).not.toBe(first.readUInt32BE(17));
    stampBatch(batch, { producerId: 7n, epoch: 0, sequence: 0 });
    expect(batch.equals(first)).toBe(true);
  });

  test('ends before the message that does not fit, and has at least one', () => {
    const builder = new RecordBatchBuilder(100);
    expect(builder.add(message('k', 'x'.repeat(200)))).toBe(true);
    expect(builder.add(message('k', 'x'))).toBe(false);
    expect(builder.messages).toHaveLength(1);
  });

  test('sequence numbers begin again after the largest int32', () => {
    expect(sequenceAfter(0, 10)).toBe(10);
    expect(sequenceAfter(0x7fffffff, 1)).toBe(0);
    expect(sequenceAfter(0x7ffffffe, 5)).toBe(3);
  });
});
