import { describe, expect, test } from 'vitest';
import { Op } from '../../../../src/lake/event-scanner.ts';
import {
  compareSeq,
  eachSourceRecord,
  isPartialAt,
  nextAt,
  objectAt,
  opAt,
  payloadAt,
  placeAt,
  RECORD_LENGTH,
  RecordWriter,
  rowAt,
  rowIdAt,
  rowIdOf,
  sameEvent,
  seqAt,
  sourceRecord,
  tableAt,
  tableOfId,
} from '../../../../src/verify/lake/lake-record.ts';

const KEY = '\x00\xffkey with 16 by';
const ROW = 'row hash of 16b\xfe';
const SEQ = '6b02e25e0000000200000006970000abcdef';

/** A record of these fields, as it is in a partition. */
function record({ seq = SEQ, op = Op.row as number, isPartial = false, row = ROW, payload = '' } = {}): Buffer {
  const writer = new RecordWriter();
  writer.setSeq(Buffer.from(`"${seq}"`), 1);
  writer.set(0x1234, op, isPartial, KEY, row);
  writer.setPlace(70_000, 2 ** 40 + 5, 3_000_000_000, Buffer.byteLength(payload));
  return Buffer.concat([writer.bytes, Buffer.from(payload)]);
}

describe('a record of the lake', () => {
  test('gives back what was written', () => {
    const bytes = Buffer.concat([Buffer.from('before'), record({ op: Op.gone, payload: '"v":"ü"' })]);
    const at = 6;
    expect([tableAt(bytes, at), opAt(bytes, at), isPartialAt(bytes, at)]).toEqual([0x1234, Op.gone, false]);
    expect([rowIdAt(bytes, at).slice(2), rowAt(bytes, at), seqAt(bytes, at)]).toEqual([KEY, ROW, SEQ]);
    expect(placeAt(bytes, at)).toEqual({ object: 70_000, offset: 2 ** 40 + 5, length: 3_000_000_000 });
    expect([objectAt(bytes, at), payloadAt(bytes, at), nextAt(bytes, at)]).toEqual([70_000, '"v":"ü"', bytes.length]);
  });

  test('without members ends behind its head', () => {
    expect([payloadAt(record(), 0), nextAt(record(), 0)]).toEqual([undefined, RECORD_LENGTH]);
  });

  test('knows a partial image of each op', () => {
    for (const op of Object.values(Op)) {
      const bytes = record({ op, isPartial: true });
      expect([opAt(bytes, 0), isPartialAt(bytes, 0)]).toEqual([op, true]);
    }
  });

  test('names its row as the source names it', () => {
    const id = rowIdAt(record(), 0);
    expect(id).toBe(rowIdOf(0x1234, KEY));
    expect(tableOfId(id)).toBe(0x1234);
  });

  test('leaves nothing of the record that was written before', () => {
    const writer = new RecordWriter();
    writer.set(1, Op.row, true, KEY, ROW);
    writer.set(1, Op.gone, false, KEY, '');
    expect([rowAt(writer.bytes, 0), isPartialAt(writer.bytes, 0)]).toEqual(['\0'.repeat(16), false]);
  });
});

describe('two records', () => {
  const order = (a: string, b: string): number =>
    Math.sign(compareSeq(Buffer.concat([record({ seq: a }), record({ seq: b })]), 0, RECORD_LENGTH));
  const areSame = (a: object, b: object): boolean => sameEvent(Buffer.concat([record(a), record(b)]), 0, RECORD_LENGTH);

  test('are in the order of their seqs', () => {
    const later = SEQ.replace('6b', 'f0');
    expect([order(SEQ, later), order(later, SEQ), order(SEQ, SEQ)]).toEqual([-1, 1, 0]);
  });

  test('are the same event if they say the same', () => {
    expect(areSame({}, {})).toBe(true);
    expect(areSame({}, { op: Op.gone })).toBe(false);
    expect(areSame({}, { row: ROW.replace('r', 'x') })).toBe(false);
  });
});

test('records of the source give back table, key, row and the text of the key', () => {
  const keys = ['{"id":1}', '{"k":"Ünïcode"}'];
  const bytes = Buffer.concat(
    keys.flatMap((key, i) => {
      const text = Buffer.from(key);
      return [sourceRecord(i, KEY, ROW, text), text];
    }),
  );
  const found: string[] = [];
  eachSourceRecord(bytes, (id, row, keyText) => {
    expect([id, row]).toEqual([rowIdOf(found.length, KEY), ROW]);
    found.push(keyText());
  });
  expect(found).toEqual(keys);
});
